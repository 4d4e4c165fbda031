//! `helm verify`, and `--verify` of other commands.

use std::path::{Path, PathBuf};

use clap::Args;
use sluice_helm::disk::read_file;
use sluice_helm::provenance::{Verified, verify};

use super::{Done, Environment, HelmError, fail, now};

/// Arguments of `helm verify`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct VerifyArgs {
    /// Archive that stands beside its provenance file
    #[arg(value_name = "PATH")]
    path: PathBuf,
    #[command(flatten)]
    keyring: KeyringOptions,
}

/// Which keys are trusted, or sign.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct KeyringOptions {
    /// File with keys [default: ~/.gnupg/pubring.gpg]
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
}

impl KeyringOptions {
    /// Reads the keys.
    ///
    /// # Errors
    /// There is no such file.
    pub(crate) fn read(&self) -> Done<Vec<u8>> {
        let path = match &self.keyring {
            Some(path) => path.clone(),
            None => {
                let gnupg = std::env::var_os("GNUPGHOME").map(PathBuf::from);
                let home = std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".gnupg"));
                gnupg.or(home).unwrap_or_default().join("pubring.gpg")
            }
        };
        read_file(&path).map_err(|error| HelmError(format!("failed to load keyring: {error}")))
    }
}

/// Checks the archive at a path against the provenance file beside it.
///
/// # Errors
/// Helm's text: nobody that is known vouches for it.
pub(crate) fn check(path: &Path, keyring: &KeyringOptions) -> Done<Verified> {
    if path.is_dir() {
        return fail("unpacked charts cannot be verified");
    }
    let archive = read_file(path)?;
    let provenance = PathBuf::from(format!("{}.prov", path.display()));
    if std::fs::metadata(&provenance).is_err() {
        return fail(format!(
            "could not load provenance file {0}: stat {0}: no such file or directory",
            provenance.display()
        ));
    }
    let text = String::from_utf8_lossy(&read_file(&provenance)?).into_owned();
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    let (seconds, _) = now();
    Ok(verify(
        &text,
        &name.unwrap_or_default(),
        &archive,
        &keyring.read()?,
        u64::try_from(seconds).unwrap_or(0),
    )?)
}

impl VerifyArgs {
    /// Checks and tells who signed.
    ///
    /// # Errors
    /// As [`check`].
    pub(crate) fn run(&self, env: &mut Environment<'_>) -> Done {
        let verified = check(&self.path, &self.keyring)?;
        for user in &verified.signer.users {
            writeln!(env.out, "Signed by: {user}")?;
        }
        writeln!(
            env.out,
            "Using Key With Fingerprint: {}\nChart Hash Verified: {}",
            verified.signer.fingerprint, verified.checksum
        )?;
        Ok(())
    }
}
