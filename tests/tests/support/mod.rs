//! What the fault tests share.

use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use flate2::{Compress, Compression, FlushCompress};
use sluice_tests::case::Stage;
use tokio::runtime::Runtime;

/// Runs a test on the stage that all tests of this program share, which the first one starts.
pub fn on_stage(test: impl AsyncFnOnce(&'static Stage) -> anyhow::Result<()>) {
    static STAGE: OnceLock<Result<(Runtime, Stage), String>> = OnceLock::new();
    let started = STAGE.get_or_init(|| start().map_err(|error| format!("{error:#}")));
    let (runtime, stage) = match started {
        Ok(stage) => stage,
        Err(error) => panic!("the stage does not start: {error}"),
    };
    if let Err(error) = runtime.block_on(test(stage)) {
        panic!("{error:#}");
    }
}

fn start() -> anyhow::Result<(Runtime, Stage)> {
    // Nothing removes what a process keeps until its end, so the folder is emptied by the next one.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let stage = runtime.block_on(Stage::start(&folder))?;
    Ok((runtime, stage))
}

/// What `head -c 1G /dev/zero | git hash-object --stdin` prints.
const GIBIBYTE_OF_ZEROS: &str = "4fce05a4e4ed8cefef2d99f32c519b2fd7841b74";

/// Puts a GiB of zeros into a repository's object store, without ever having it.
///
/// Its compressed form is the same block again and again, and its checksum is known in advance.
pub fn gigabyte_blob(work_tree: &Path) -> anyhow::Result<git2::Oid> {
    const MEBIBYTE: usize = 1 << 20;
    let header = b"blob 1073741824\0";
    let deflate = |bytes: &[u8], flush| -> anyhow::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(bytes.len() + 1024);
        Compress::new(Compression::best(), false).compress_vec(bytes, &mut out, flush)?;
        Ok(out)
    };
    let mut packed = vec![0x78, 0x01];
    packed.extend(deflate(header, FlushCompress::Full)?);
    packed.extend(deflate(&vec![0; MEBIBYTE], FlushCompress::Full)?.repeat(1024));
    packed.extend(deflate(&[], FlushCompress::Finish)?);
    packed.extend(adler32(header, 1 << 30).to_be_bytes());
    let (folder, file) = GIBIBYTE_OF_ZEROS.split_at(2);
    let folder = work_tree.join(".git/objects").join(folder);
    std::fs::create_dir_all(&folder)?;
    std::fs::File::create(folder.join(file))?.write_all(&packed)?;
    Ok(git2::Oid::from_str(GIBIBYTE_OF_ZEROS)?)
}

/// The checksum that ends a zlib stream of `bytes` and then so many zeros.
fn adler32(bytes: &[u8], zeros: u64) -> u32 {
    const MODULUS: u64 = 65521;
    let (mut a, mut b) = (1_u64, 0_u64);
    for byte in bytes {
        a = (a + u64::from(*byte)) % MODULUS;
        b = (b + a) % MODULUS;
    }
    b = (b + zeros % MODULUS * a) % MODULUS;
    (b as u32) << 16 | a as u32
}
