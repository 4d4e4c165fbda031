//! The Git wire protocol, version 0, as far as fetching needs it: packet lines, the listing of
//! refs, the request for objects, and the answer with a pack.
//!
//! One request carries everything (wants, what is shallow here, what is here already, `done`), so a
//! fetch is one exchange over HTTP and needs no negotiation over SSH. Every read is bounded.

use bytes::Bytes;
use git2::Oid;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::advertisement::Advertisement;
use crate::error::TransportError;

/// The program that serves fetches.
pub const UPLOAD_PACK: &str = "git-upload-pack";

/// How we name ourselves; servers treat what begins with `git/` as Git.
pub const AGENT: &str = concat!("git/sluice-", env!("CARGO_PKG_VERSION"));

/// Largest listing of refs in bytes; some hundred thousand refs fit.
const MAX_LISTING: u64 = 128 << 20;
/// Most lines of an answer before its pack.
const MAX_PREAMBLE: usize = 100_000;
/// Longest text of the server that is repeated in an error.
const MAX_TEXT: usize = 512;

/// One unit of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// The end of a section.
    Flush,
    /// A line or a piece of a stream.
    Data(Bytes),
}

/// Reads one packet; `None` at the end of the stream between packets.
///
/// # Errors
/// When the stream breaks or is no packet stream.
pub async fn read_packet<R: AsyncRead + Unpin>(
    reader: &mut R,
) -> Result<Option<Packet>, TransportError> {
    let mut length = [0; 4];
    let mut filled = 0;
    while filled < length.len() {
        match reader.read(&mut length[filled..]).await? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(TransportError::Malformed("the stream ends within a packet")),
            n => filled += n,
        }
    }
    let length = std::str::from_utf8(&length)
        .ok()
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .ok_or(TransportError::Malformed("a packet's length is no number"))?;
    match length {
        // 1 to 3 are marks of newer versions; they end a section as well.
        0..=3 => Ok(Some(Packet::Flush)),
        4 => Ok(Some(Packet::Data(Bytes::new()))),
        _ => {
            let mut data = vec![0; length - 4];
            reader.read_exact(&mut data).await?;
            Ok(Some(Packet::Data(data.into())))
        }
    }
}

fn line(data: &[u8]) -> &[u8] {
    data.strip_suffix(b"\n").unwrap_or(data)
}

/// The part of a server's text that may be repeated in an error.
pub(crate) fn quote(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(MAX_TEXT)]);
    text.trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// A refusal in the place of an answer.
fn refusal(data: &[u8]) -> Option<TransportError> {
    let text = quote(data.strip_prefix(b"ERR ")?);
    let lower = text.to_lowercase();
    Some(
        if lower.contains("not found") || lower.contains("does not exist") {
            TransportError::RepositoryNotFound(text)
        } else {
            TransportError::Remote(text)
        },
    )
}

/// Reads a listing of refs up to its end. `service` skips the extra section that HTTP has.
///
/// # Errors
/// When there is nothing, something else, or too much.
pub async fn read_listing<R: AsyncRead + Unpin>(
    reader: &mut R,
) -> Result<Advertisement, TransportError> {
    let mut reader = reader.take(MAX_LISTING);
    let mut listing = Advertisement::default();
    let mut any = false;
    let mut announced = false;
    loop {
        let packet = match read_packet(&mut reader).await {
            Err(_) if reader.limit() == 0 => {
                return Err(TransportError::TooLarge {
                    what: "listing of refs",
                    limit: MAX_LISTING,
                });
            }
            packet => packet?,
        };
        match packet {
            None if !any => return Err(TransportError::EmptyInput),
            None => return Err(TransportError::Malformed("the listing of refs is cut off")),
            Some(Packet::Flush) if announced => announced = false,
            Some(Packet::Flush) => return Ok(listing),
            Some(Packet::Data(data)) => {
                if let Some(refusal) = refusal(&data) {
                    return Err(refusal);
                }
                if !any && data.starts_with(b"# service=") {
                    announced = true;
                } else {
                    listing.add_line(line(&data))?;
                }
                any = true;
            }
        }
    }
}

/// How much history comes with the wanted objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The commits themselves, as roots.
    One,
    /// Everything.
    Full,
}

/// What is asked for, and what is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Objects to get. Not empty.
    pub wants: Vec<Oid>,
    /// Commits whose parents are not here.
    pub shallow: Vec<Oid>,
    /// Objects that are here with all that they need.
    pub haves: Vec<Oid>,
    /// How much history to get.
    pub depth: Depth,
}

impl Request {
    /// The request as it goes over the wire.
    pub fn encode(&self, refs: &Advertisement) -> Vec<u8> {
        let mut out = Vec::new();
        let mut capabilities = vec![];
        for wanted in [
            "multi_ack_detailed",
            "side-band-64k",
            "ofs-delta",
            "no-progress",
        ] {
            if refs.supports(wanted) {
                capabilities.push(wanted.to_owned());
            }
        }
        if self.is_shallow(refs) {
            capabilities.push("shallow".to_owned());
        }
        if refs.capability("agent").is_some() {
            capabilities.push(format!("agent={AGENT}"));
        }
        for (i, want) in self.wants.iter().enumerate() {
            if i == 0 {
                push(
                    &mut out,
                    &format!("want {want} {}\n", capabilities.join(" ")),
                );
            } else {
                push(&mut out, &format!("want {want}\n"));
            }
        }
        if self.is_shallow(refs) {
            for commit in &self.shallow {
                push(&mut out, &format!("shallow {commit}\n"));
            }
            if self.depth == Depth::One {
                push(&mut out, "deepen 1\n");
            }
        }
        out.extend_from_slice(b"0000");
        for have in &self.haves {
            push(&mut out, &format!("have {have}\n"));
        }
        push(&mut out, "done\n");
        out
    }

    /// Whether the answer begins with a section about shallow commits.
    fn is_shallow(&self, refs: &Advertisement) -> bool {
        refs.supports("shallow") && (self.depth == Depth::One || !self.shallow.is_empty())
    }
}

fn push(out: &mut Vec<u8>, line: &str) {
    out.extend_from_slice(format!("{:04x}{line}", line.len() + 4).as_bytes());
}

/// The part of an answer before the pack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preamble {
    /// Commits that are now without their parents.
    pub shallow: Vec<Oid>,
    /// Commits that now have them.
    pub unshallow: Vec<Oid>,
}

/// An answer, opened up to where its pack begins.
#[derive(Debug)]
pub struct PackStream<R> {
    reader: R,
    banded: Banded,
    /// A piece that was read while looking for the pack's beginning.
    pending: Option<Bytes>,
}

#[derive(Debug, PartialEq, Eq)]
enum Banded {
    /// The pack comes in packets beside messages.
    Yes,
    /// The pack is the rest of the stream.
    No,
    /// All is read.
    Over,
}

/// Reads an answer up to its pack.
///
/// # Errors
/// When the server refuses, or the stream breaks.
pub async fn read_answer<R: AsyncRead + Unpin>(
    mut reader: R,
    request: &Request,
    refs: &Advertisement,
) -> Result<(Preamble, PackStream<R>), TransportError> {
    let mut preamble = Preamble::default();
    let mut in_shallow = request.is_shallow(refs) && request.depth == Depth::One;
    let banded = refs.supports("side-band-64k");
    for _ in 0..MAX_PREAMBLE {
        let data = match read_packet(&mut reader).await? {
            None => return Err(TransportError::EmptyInput),
            Some(Packet::Flush) => {
                in_shallow = false;
                continue;
            }
            Some(Packet::Data(data)) => data,
        };
        if let Some(refusal) = refusal(&data) {
            return Err(refusal);
        }
        let text = line(&data);
        let id = |rest: &[u8]| {
            std::str::from_utf8(rest)
                .ok()
                .and_then(|id| Oid::from_str(id).ok())
                .ok_or(TransportError::Malformed("a shallow line cannot be read"))
        };
        if let Some(rest) = text.strip_prefix(b"shallow ") {
            preamble.shallow.push(id(rest)?);
        } else if let Some(rest) = text.strip_prefix(b"unshallow ") {
            preamble.unshallow.push(id(rest)?);
        } else if in_shallow {
            return Err(TransportError::Malformed(
                "the answer about shallow commits cannot be read",
            ));
        } else if text == b"NAK" || (text.starts_with(b"ACK ") && text.len() <= b"ACK ".len() + 40)
        {
            let banded = if banded { Banded::Yes } else { Banded::No };
            return Ok((
                preamble,
                PackStream {
                    reader,
                    banded,
                    pending: None,
                },
            ));
        } else if text.starts_with(b"ACK ") {
            // Common ground; the final acknowledgement is still to come.
        } else if banded && matches!(data.first(), Some(1..=3)) {
            let stream = PackStream {
                reader,
                banded: Banded::Yes,
                pending: Some(data),
            };
            return Ok((preamble, stream));
        } else {
            return Err(TransportError::Malformed(
                "the answer begins with an unknown line",
            ));
        }
    }
    Err(TransportError::Malformed(
        "the answer has too many lines before its pack",
    ))
}

impl<R: AsyncRead + Unpin> PackStream<R> {
    /// The next piece of the pack, or `None` after the last.
    ///
    /// # Errors
    /// When the server reports a failure, or the stream breaks.
    pub async fn next(&mut self) -> Result<Option<Bytes>, TransportError> {
        loop {
            match self.banded {
                Banded::Over => return Ok(None),
                Banded::No => {
                    let mut piece = bytes::BytesMut::with_capacity(64 * 1024);
                    if self.reader.read_buf(&mut piece).await? == 0 {
                        self.banded = Banded::Over;
                        return Ok(None);
                    }
                    return Ok(Some(piece.freeze()));
                }
                Banded::Yes => {}
            }
            let packet = match self.pending.take() {
                Some(data) => Some(Packet::Data(data)),
                None => read_packet(&mut self.reader).await?,
            };
            match packet {
                None => return Err(TransportError::Malformed("the pack is cut off")),
                Some(Packet::Flush) => self.banded = Banded::Over,
                Some(Packet::Data(mut data)) => match data.first() {
                    Some(1) => return Ok(Some(data.split_off(1))),
                    Some(2) | None => {}
                    Some(3) => return Err(TransportError::Remote(quote(&data[1..]))),
                    Some(_) => return Err(TransportError::Malformed("a band is unknown")),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packets(parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for part in parts {
            if part == b"flush" {
                out.extend_from_slice(b"0000");
            } else {
                out.extend_from_slice(format!("{:04x}", part.len() + 4).as_bytes());
                out.extend_from_slice(part);
            }
        }
        out
    }

    fn oid(digit: &str) -> Oid {
        Oid::from_str(&digit.repeat(40)).unwrap()
    }

    async fn refs(capabilities: &str) -> Advertisement {
        let first = format!("{} refs/heads/main\0{capabilities}\n", oid("a"));
        let bytes = packets(&[
            b"# service=git-upload-pack\n",
            b"flush",
            first.as_bytes(),
            b"flush",
        ]);
        read_listing(&mut &bytes[..]).await.unwrap()
    }

    #[tokio::test]
    async fn a_listing_is_read_with_and_without_the_section_of_http() {
        assert_eq!(
            refs("shallow").await.target("refs/heads/main"),
            Some(oid("a"))
        );
        let ssh = packets(&[format!("{} HEAD\0x\n", oid("b")).as_bytes(), b"flush"]);
        assert_eq!(
            read_listing(&mut &ssh[..]).await.unwrap().target("HEAD"),
            Some(oid("b"))
        );
    }

    #[tokio::test]
    async fn what_is_no_listing_says_why() {
        for (bytes, want) in [
            (b"".to_vec(), "empty input"),
            (
                b"<html>".to_vec(),
                "malformed answer: a packet's length is no number",
            ),
            (
                b"00".to_vec(),
                "malformed answer: the stream ends within a packet",
            ),
            (
                packets(&[b"# service=git-upload-pack\n", b"flush"]),
                "malformed answer: the listing of refs is cut off",
            ),
            (
                packets(&[b"ERR access denied\n"]),
                "unknown error: access denied",
            ),
            (
                packets(&[b"ERR Repository not found.\n"]),
                "repository not found: Repository not found.",
            ),
            (
                packets(&[b"rubbish\n", b"flush"]),
                "malformed answer: a line of the ref listing cannot be read",
            ),
            (b"0100abc".to_vec(), "unexpected EOF"),
        ] {
            assert_eq!(
                read_listing(&mut &bytes[..]).await.unwrap_err().to_string(),
                want
            );
        }
    }

    #[tokio::test]
    async fn a_request_asks_only_for_what_the_server_can_do() {
        let request = Request {
            wants: vec![oid("a"), oid("b")],
            shallow: vec![oid("c")],
            haves: vec![oid("c")],
            depth: Depth::One,
        };
        let able =
            refs("multi_ack_detailed side-band-64k ofs-delta shallow agent=git/2 thin-pack").await;
        let text = String::from_utf8(request.encode(&able)).unwrap();
        let (a, b, c) = (oid("a"), oid("b"), oid("c"));
        assert_eq!(
            text,
            format!(
                "{:04x}want {a} multi_ack_detailed side-band-64k ofs-delta shallow agent={AGENT}\n\
                 0032want {b}\n0035shallow {c}\n000ddeepen 1\n00000032have {c}\n0009done\n",
                4 + 45
                    + 1
                    + "multi_ack_detailed side-band-64k ofs-delta shallow agent=".len()
                    + AGENT.len()
                    + 1
            )
        );
        let plain = String::from_utf8(request.encode(&refs("").await)).unwrap();
        assert_eq!(
            plain,
            format!("0033want {a} \n0032want {b}\n00000032have {c}\n0009done\n")
        );
    }

    async fn answer(
        parts: &[&[u8]],
        capabilities: &str,
    ) -> Result<(Preamble, Vec<u8>), TransportError> {
        let request = Request {
            wants: vec![oid("a")],
            shallow: vec![],
            haves: vec![],
            depth: Depth::One,
        };
        let refs = refs(capabilities).await;
        let bytes = packets(parts);
        let (preamble, mut stream) = read_answer(&bytes[..], &request, &refs).await?;
        let mut pack = Vec::new();
        while let Some(piece) = stream.next().await? {
            pack.extend_from_slice(&piece);
        }
        Ok((preamble, pack))
    }

    #[tokio::test]
    async fn an_answer_gives_its_shallow_commits_and_its_pack() {
        let shallow = format!("shallow {}\n", oid("a"));
        let unshallow = format!("unshallow {}\n", oid("b"));
        let common = format!("ACK {} common\n", oid("c"));
        let last = format!("ACK {}\n", oid("c"));
        let able = "shallow side-band-64k multi_ack_detailed";
        let (preamble, pack) = answer(
            &[
                shallow.as_bytes(),
                unshallow.as_bytes(),
                b"flush",
                common.as_bytes(),
                last.as_bytes(),
                b"\x02counting",
                b"\x01PACK",
                b"\x01rest",
                b"flush",
            ],
            able,
        )
        .await
        .unwrap();
        assert_eq!(
            preamble,
            Preamble {
                shallow: vec![oid("a")],
                unshallow: vec![oid("b")]
            }
        );
        assert_eq!(pack, b"PACKrest");
        let failed = answer(&[b"flush", b"NAK\n", b"\x03access denied\n"], able)
            .await
            .unwrap_err();
        assert_eq!(failed.to_string(), "unknown error: access denied");
        let cut = answer(&[b"flush", b"NAK\n", b"\x01PACK"], able)
            .await
            .unwrap_err();
        assert_eq!(cut.to_string(), "malformed answer: the pack is cut off");
        let refused = answer(&[b"ERR upload-pack: not our ref"], able)
            .await
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "unknown error: upload-pack: not our ref"
        );
    }

    proptest! {
        #[test]
        fn noise_cannot_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), seed in "[0-9a-f]{4}") {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let mut seeded = seed.into_bytes();
                seeded.extend_from_slice(&bytes);
                let _ = read_listing(&mut &seeded[..]).await;
                let request = Request { wants: vec![oid("a")], shallow: vec![], haves: vec![], depth: Depth::One };
                let refs = refs("shallow side-band-64k").await;
                if let Ok((_, mut stream)) = read_answer(&seeded[..], &request, &refs).await {
                    while let Ok(Some(_)) = stream.next().await {}
                }
            });
        }
    }
}
