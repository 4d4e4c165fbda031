//! The HTTP server that hands artifacts out: plain static files, read only, no authentication.
//!
//! `GET` and `HEAD`, single byte ranges, `If-Modified-Since`, folder listings (the readiness probe
//! asks for `/`), and a plain 404. Links are followed as long as they stay below the root.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue,
    IF_MODIFIED_SINCE, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::io::ReaderStream;

/// Connections served at the same time; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 512;
/// Time that open requests get to finish when the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// Time for a client to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bodies up to this size are read in one go.
const SMALL: u64 = 1024 * 1024;

type Body = BoxBody<Bytes, io::Error>;

/// Serves `root` on `listener` until `stop` completes; open requests then get 5 seconds.
///
/// # Errors
/// When `root` does not exist. Accept errors are logged and retried.
pub async fn serve(
    listener: TcpListener,
    root: &Path,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let root: Arc<Path> = fs::canonicalize(root)?.into();
    let mut server = hyper::server::conn::http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (stream, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection to the file server");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let root = Arc::clone(&root);
        let service = service_fn(move |request| answer(Arc::clone(&root), request));
        let connection = graceful.watch(server.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the file server broke");
            }
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("the file server stopped before all requests were answered");
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

async fn answer(root: Arc<Path>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (parts, _) = request.into_parts();
    let head = parts.method == Method::HEAD;
    if !head && parts.method != Method::GET {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    let work = move || respond(&root, parts.uri.path(), &parts.headers, head);
    let response = match tokio::task::spawn_blocking(work).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidInput => text(StatusCode::NOT_FOUND, "404 page not found\n"),
            io::ErrorKind::PermissionDenied => text(StatusCode::FORBIDDEN, "403 Forbidden\n"),
            _ => {
                tracing::warn!(%error, "the file server failed to read a file");
                text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "500 Internal Server Error\n",
                )
            }
        },
        Err(error) => {
            tracing::error!(%error, "the file server's handler stopped");
            text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "500 Internal Server Error\n",
            )
        }
    };
    Ok(response)
}

fn respond(
    root: &Path,
    url_path: &str,
    headers: &HeaderMap,
    head: bool,
) -> io::Result<Response<Body>> {
    let file = locate(root, url_path)?;
    let mut open = fs::File::open(&file)?;
    let metadata = open.metadata()?;
    if metadata.is_dir() {
        return if url_path.ends_with('/') {
            listing(&file)
        } else {
            redirect(url_path)
        };
    }
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let size = metadata.len();
    let modified = last_modified(&metadata);
    let mut builder = Response::builder().header(ACCEPT_RANGES, "bytes");
    if let Some((_, text)) = &modified {
        builder = builder.header(LAST_MODIFIED, text);
    }
    if let Some((seconds, _)) = modified
        && let Some(since) = headers.get(IF_MODIFIED_SINCE).and_then(http_date)
        && seconds <= since
    {
        return finish(builder.status(StatusCode::NOT_MODIFIED), empty());
    }
    builder = builder.header(CONTENT_TYPE, content_type(&file));
    let wanted = headers
        .get(RANGE)
        .filter(|_| match headers.get(IF_RANGE) {
            None => true,
            Some(condition) => {
                modified.is_some_and(|(seconds, _)| http_date(condition) == Some(seconds))
            }
        })
        .and_then(|value| value.to_str().ok());
    let (status, from, length) = match wanted.map(|range| byte_range(range, size)) {
        None | Some(Ranges::Whole) => (StatusCode::OK, 0, size),
        Some(Ranges::Part { from, length }) => {
            builder = builder.header(
                CONTENT_RANGE,
                format!("bytes {from}-{}/{size}", from + length - 1),
            );
            (StatusCode::PARTIAL_CONTENT, from, length)
        }
        Some(Ranges::Unsatisfiable) => {
            let builder = builder
                .header(CONTENT_RANGE, format!("bytes */{size}"))
                .status(StatusCode::RANGE_NOT_SATISFIABLE);
            return finish(builder, empty());
        }
    };
    builder = builder.status(status).header(CONTENT_LENGTH, length);
    if head {
        return finish(builder, empty());
    }
    open.seek(SeekFrom::Start(from))?;
    let body = if length <= SMALL {
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        open.take(length).read_to_end(&mut bytes)?;
        Full::from(bytes).map_err(|never| match never {}).boxed()
    } else {
        use tokio::io::AsyncReadExt as _;
        let reader = tokio::fs::File::from_std(open).take(length);
        let frames = ReaderStream::with_capacity(reader, 128 * 1024).map_ok(Frame::data);
        StreamBody::new(frames).boxed()
    };
    finish(builder, body)
}

/// The file that a URL path names.
fn locate(root: &Path, url_path: &str) -> io::Result<PathBuf> {
    let decoded = percent_decode(url_path).ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = root.to_path_buf();
    for name in decoded
        .split('/')
        .filter(|name| !name.is_empty() && *name != ".")
    {
        if name == ".." || name.contains('\0') {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        file.push(name);
    }
    let file = fs::canonicalize(file)?;
    if file.starts_with(root) {
        Ok(file)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                hex::decode(digits).ok()?[0]
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Seconds since the epoch, and the header's text.
fn last_modified(metadata: &Metadata) -> Option<(i64, String)> {
    let since = metadata
        .modified()
        .ok()?
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?;
    let timestamp = Timestamp::from_second(i64::try_from(since.as_secs()).ok()?).ok()?;
    let text = rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&timestamp)
        .ok()?;
    Some((timestamp.as_second(), text))
}

fn http_date(value: &HeaderValue) -> Option<i64> {
    Some(
        rfc2822::DateTimeParser::new()
            .parse_timestamp(value.to_str().ok()?)
            .ok()?
            .as_second(),
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ranges {
    /// No usable range, or several: answer with everything, which is always allowed.
    Whole,
    Part {
        from: u64,
        length: u64,
    },
    Unsatisfiable,
}

fn byte_range(header: &str, size: u64) -> Ranges {
    let Some(spec) = header.strip_prefix("bytes=") else {
        return Ranges::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Ranges::Whole;
    };
    let (from, length) = match (first.trim(), last.trim()) {
        ("", suffix) => {
            let Ok(n) = suffix.parse::<u64>() else {
                return Ranges::Whole;
            };
            (size - n.min(size), n.min(size))
        }
        (first, "") => {
            let Ok(from) = first.parse::<u64>() else {
                return Ranges::Whole;
            };
            (from, size.saturating_sub(from))
        }
        (first, last) => {
            let (Ok(from), Ok(last)) = (first.parse::<u64>(), last.parse::<u64>()) else {
                return Ranges::Whole;
            };
            if last < from {
                return Ranges::Whole;
            }
            (from, last.saturating_add(1).min(size).saturating_sub(from))
        }
    };
    if length == 0 {
        Ranges::Unsatisfiable
    } else {
        Ranges::Part { from, length }
    }
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|e| e.to_str()) {
        Some("gz" | "tgz") => "application/gzip",
        Some("yaml" | "yml") => "application/yaml",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

fn listing(dir: &Path) -> io::Result<Response<Body>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let mut name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            name.push('/');
        }
        names.push(name);
    }
    names.sort();
    let mut html = String::from("<!doctype html>\n<pre>\n");
    for name in names {
        // Writing to a String cannot fail.
        let _ = writeln!(html, "<a href=\"{}\">{}</a>", href(&name), escape(&name));
    }
    html.push_str("</pre>\n");
    let builder = Response::builder().header(CONTENT_TYPE, "text/html; charset=utf-8");
    finish(
        builder,
        Full::from(html).map_err(|never| match never {}).boxed(),
    )
}

/// A relative link; the prefix keeps a name with a colon from looking like a scheme.
fn href(name: &str) -> String {
    let mut out = String::from("./");
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'/'
            | b':'
            | b'+' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
}

fn redirect(url_path: &str) -> io::Result<Response<Body>> {
    let last = url_path.rsplit('/').next().unwrap_or_default();
    let builder = Response::builder()
        .status(StatusCode::MOVED_PERMANENTLY)
        .header(LOCATION, format!("./{last}/"));
    finish(builder, empty())
}

fn finish(builder: http::response::Builder, body: Body) -> io::Result<Response<Body>> {
    builder.body(body).map_err(io::Error::other)
}

fn text(status: StatusCode, message: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::from(message).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

fn empty() -> Body {
    Full::default().map_err(|never| match never {}).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_file() {
        let part = |from, length| Ranges::Part { from, length };
        for (header, want) in [
            ("bytes=0-3", part(0, 4)),
            ("bytes=4-", part(4, 6)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-30", part(0, 10)),
            ("bytes=8-99", part(8, 2)),
            ("bytes=0-18446744073709551615", part(0, 10)),
            ("bytes=10-", Ranges::Unsatisfiable),
            ("bytes=-0", Ranges::Unsatisfiable),
            ("bytes=5-4", Ranges::Whole),
            ("bytes=0-1,3-4", Ranges::Whole),
            ("items=0-1", Ranges::Whole),
            ("bytes=a-b", Ranges::Whole),
        ] {
            assert_eq!(byte_range(header, 10), want, "{header}");
        }
    }

    struct Served {
        base: String,
        dir: tempfile::TempDir,
        stop: tokio::sync::oneshot::Sender<()>,
        task: tokio::task::JoinHandle<io::Result<()>>,
    }

    async fn start() -> Served {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("kind")).unwrap();
        fs::write(dir.path().join("kind/sha256:a+b.tar.gz"), "0123456789").unwrap();
        std::os::unix::fs::symlink(
            dir.path().join("kind/sha256:a+b.tar.gz"),
            dir.path().join("latest.tar.gz"),
        )
        .unwrap();
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("escape")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let root = dir.path().to_owned();
        let task = tokio::spawn(async move {
            serve(listener, &root, async {
                let _ = stopped.await;
            })
            .await
        });
        Served {
            base,
            dir,
            stop,
            task,
        }
    }

    #[tokio::test]
    async fn files_listings_ranges_and_conditions_are_served() {
        let server = start().await;
        let client = reqwest::Client::new();
        let url = format!("{}/kind/sha256:a+b.tar.gz", server.base);
        let whole = client.get(&url).send().await.unwrap();
        let modified = whole.headers()["last-modified"].clone();
        assert_eq!(whole.headers()["content-type"], "application/gzip");
        assert_eq!(whole.text().await.unwrap(), "0123456789");

        let head = client.head(&url).send().await.unwrap();
        assert_eq!(head.headers()["content-length"], "10");
        let part = client
            .get(&url)
            .header("range", "bytes=2-4")
            .send()
            .await
            .unwrap();
        assert_eq!(
            (part.status().as_u16(), part.text().await.unwrap()),
            (206, "234".to_owned())
        );
        let unchanged = client
            .get(&url)
            .header("if-modified-since", modified)
            .send()
            .await
            .unwrap();
        assert_eq!(unchanged.status(), 304);
        let beyond = client
            .get(&url)
            .header("range", "bytes=20-")
            .send()
            .await
            .unwrap();
        assert_eq!(beyond.headers()["content-range"], "bytes */10");
        let linked = client
            .get(format!("{}/latest.tar.gz", server.base))
            .send()
            .await
            .unwrap();
        assert_eq!(linked.text().await.unwrap(), "0123456789");

        let root = client.get(&server.base).send().await.unwrap();
        assert_eq!(root.status(), 200);
        let listed = client
            .get(format!("{}/kind", server.base))
            .send()
            .await
            .unwrap();
        assert!(listed.text().await.unwrap().contains("./sha256:a+b.tar.gz"));

        let missing = client
            .get(format!("{}/none", server.base))
            .send()
            .await
            .unwrap();
        assert_eq!(
            (missing.status().as_u16(), missing.text().await.unwrap()),
            (404, "404 page not found\n".into())
        );
        for path in ["escape", "%2e%2e/x", "kind/%00", "%zz", "latest.tar.gz/x"] {
            let answer = client
                .get(format!("{}/{path}", server.base))
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), 404, "{path}");
        }
        assert_eq!(client.post(&url).send().await.unwrap().status(), 405);
        drop(client);
        server.stop.send(()).unwrap();
        server.task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_large_file_is_streamed_whole() {
        let server = start().await;
        let size = usize::try_from(SMALL).unwrap() * 3 + 17;
        let content: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        fs::write(server.dir.path().join("big"), &content).unwrap();
        let got = reqwest::get(format!("{}/big", server.base))
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert!(got[..] == content[..]);
    }
}
