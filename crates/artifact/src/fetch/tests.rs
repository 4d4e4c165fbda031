use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;
use crate::digest::Algorithm;
use crate::layout::{Dir, File, FileMode, Node};
use crate::pack::{Content, PackLimits, pack};
use crate::sourceignore::Rules;

fn archive(text: &str) -> (Vec<u8>, String) {
    let mut root = Dir::new();
    root.set(
        b"f",
        Node::File(File {
            mode: FileMode::Regular,
            content: text.as_bytes().to_vec(),
        }),
    );
    let mut bytes = Vec::new();
    pack(
        &root,
        &Rules::none(),
        &PackLimits::default(),
        &mut bytes,
        |c| Ok(Content::bytes(c)),
    )
    .unwrap();
    let digest = Digest::of(Algorithm::Sha256, &bytes).to_string();
    (bytes, digest)
}

/// A server that gives one prepared answer after the other, the last one for ever.
struct Server {
    url: String,
    asked: Arc<AtomicUsize>,
}

async fn server(answers: Vec<(u16, Vec<u8>)>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a.tar.gz", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let answers = Arc::new(answers);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (counter, answers) = (Arc::clone(&counter), Arc::clone(&answers));
            let service = service_fn(move |_| {
                let n = counter.fetch_add(1, Ordering::SeqCst);
                let (status, body) = answers[n.min(answers.len() - 1)].clone();
                async move {
                    http::Response::builder()
                        .status(status)
                        .body(Full::new(bytes::Bytes::from(body)))
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    Server { url, asked }
}

fn fetcher(change: impl FnOnce(&mut Options)) -> Fetcher {
    let mut options = Options {
        retry_wait_min: Duration::from_millis(1),
        retry_wait_max: Duration::from_millis(2),
        retries: 2,
        ..Options::default()
    };
    change(&mut options);
    Fetcher::new(options).unwrap()
}

async fn failure(fetcher: &Fetcher, url: &str, digest: &str) -> String {
    fetcher.fetch(url, digest).await.unwrap_err().to_string()
}

#[tokio::test]
async fn concurrent_and_later_callers_share_one_download() {
    let (bytes, digest) = archive("x");
    let server = server(vec![(200, bytes)]).await;
    let fetcher = fetcher(|_| ());
    let all = futures::future::join_all((0..50).map(|_| fetcher.fetch(&server.url, &digest))).await;
    let trees: Vec<_> = all
        .into_iter()
        .map(|fetched| match fetched.unwrap() {
            Fetched::Tree(tree) => tree,
            Fetched::NotFound => panic!("not found"),
        })
        .collect();
    assert!(trees.iter().all(|tree| Arc::ptr_eq(tree, &trees[0])));
    assert_eq!(&trees[0].read("f").unwrap()[..], b"x");
    assert!(matches!(
        fetcher.fetch(&server.url, &digest).await,
        Ok(Fetched::Tree(_))
    ));
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    assert!(fetcher.cached_bytes() > 0 && fetcher.inner.state().flights.is_empty());
}

#[tokio::test]
async fn a_caller_that_leaves_takes_nobody_along() {
    let (bytes, digest) = archive("x");
    let server = server(vec![(500, vec![]), (500, vec![]), (200, bytes)]).await;
    let fetcher = fetcher(|_| ());
    let leaver = {
        let (fetcher, url, digest) = (fetcher.clone(), server.url.clone(), digest.clone());
        tokio::spawn(async move { fetcher.fetch(&url, &digest).await })
    };
    let stayer = {
        let (fetcher, url, digest) = (fetcher.clone(), server.url.clone(), digest.clone());
        tokio::spawn(async move { fetcher.fetch(&url, &digest).await })
    };
    leaver.abort();
    assert!(matches!(stayer.await.unwrap(), Ok(Fetched::Tree(_))));
    assert!(fetcher.inner.state().flights.is_empty());
}

#[tokio::test]
async fn server_errors_are_retried_and_others_are_not() {
    let (bytes, digest) = archive("x");
    let flaky = server(vec![(503, vec![]), (429, vec![]), (200, bytes)]).await;
    let fetcher = fetcher(|_| ());
    assert!(matches!(
        fetcher.fetch(&flaky.url, &digest).await,
        Ok(Fetched::Tree(_))
    ));
    let fetcher = self::fetcher(|_| ());
    for (status, attempts) in [(500, 3), (501, 1), (403, 1), (302, 1)] {
        let broken = server(vec![(status, vec![])]).await;
        let message = failure(&fetcher, &broken.url, &digest).await;
        assert!(message.starts_with(&format!(
            "failed to download archive from {} (status: {status}",
            broken.url
        )));
        assert_eq!(broken.asked.load(Ordering::SeqCst), attempts, "{status}");
    }
    let gone = server(vec![(404, vec![])]).await;
    assert!(matches!(
        fetcher.fetch(&gone.url, &digest).await,
        Ok(Fetched::NotFound)
    ));
    assert_eq!(gone.asked.load(Ordering::SeqCst), 1);
    let nobody = failure(&fetcher, "http://127.0.0.1:1/a", &digest).await;
    assert!(nobody.contains("onnection refused"), "{nobody}");
}

#[tokio::test]
async fn a_failure_is_not_remembered() {
    let (bytes, digest) = archive("x");
    let server = server(vec![(404, vec![]), (200, bytes)]).await;
    let fetcher = fetcher(|_| ());
    assert!(matches!(
        fetcher.fetch(&server.url, &digest).await,
        Ok(Fetched::NotFound)
    ));
    assert!(matches!(
        fetcher.fetch(&server.url, &digest).await,
        Ok(Fetched::Tree(_))
    ));
}

#[tokio::test]
async fn what_is_not_as_promised_is_refused() {
    let (bytes, digest) = archive("x");
    let (_, other) = archive("y");
    let server = server(vec![(200, bytes)]).await;
    let fetcher = fetcher(|options| options.max_download = 1000);
    assert_eq!(
        failure(&fetcher, &server.url, &other).await,
        format!(
            "failed to verify archive: computed digest doesn't match provided '{other}' \
             (check whether file size exceeds max download size)"
        )
    );
    assert_eq!(failure(&fetcher, &server.url, "").await, "empty digest");
    let small = self::fetcher(|options| options.max_download = 10);
    assert!(
        failure(&small, &server.url, &digest)
            .await
            .ends_with("exceeds the maximum download size of 10 bytes")
    );
    let text = b"no archive".to_vec();
    let digest = Digest::of(Algorithm::Blake3, &text).to_string();
    let server = self::server(vec![(200, text)]).await;
    assert!(
        failure(&fetcher, &server.url, &digest)
            .await
            .starts_with("failed to untar artifact: ")
    );
    assert!(
        failure(&fetcher, "file:///etc/passwd", &digest)
            .await
            .contains("unsupported protocol scheme `file`")
    );
}

#[tokio::test]
async fn the_environment_can_point_to_another_host() {
    let (bytes, digest) = archive("x");
    let server = server(vec![(200, bytes)]).await;
    let host = server
        .url
        .strip_prefix("http://")
        .unwrap()
        .strip_suffix("/a.tar.gz")
        .unwrap()
        .to_owned();
    let fetcher = fetcher(|options| options.source_controller = Some(host));
    let url =
        "http://source-controller.flux-system.svc.cluster.local./gitrepository/a/b/c.tar.gz?x#y";
    assert_eq!(
        fetcher.inner.target(url).unwrap().as_str(),
        server
            .url
            .replace("/a.tar.gz", "/gitrepository/a/b/c.tar.gz?x#y")
    );
    assert!(matches!(
        fetcher.fetch(url, &digest).await,
        Ok(Fetched::Tree(_))
    ));
    let watcher = self::fetcher(|options| {
        options.source_controller = Some("sc:1".into());
        options.source_watcher = Some("sw:2".into());
    });
    assert_eq!(
        watcher
            .inner
            .target("http://source-watcher.x/a")
            .unwrap()
            .as_str(),
        "http://sw:2/a"
    );
    assert_eq!(
        watcher.inner.target("http://other.x/a").unwrap().as_str(),
        "http://sc:1/a"
    );
}

#[tokio::test]
async fn the_least_recently_used_tree_leaves_first() {
    let mut state = State::default();
    let digests: Vec<Digest> = ["a", "b", "c"]
        .iter()
        .map(|t| Digest::of(Algorithm::Sha256, t.as_bytes()))
        .collect();
    let (bytes, _) = archive("x");
    let tree = Arc::new(unpack(&bytes[..], &Limits::default()).unwrap());
    let room = tree.resident() * 2;
    state.keep(digests[0].clone(), &tree, room);
    state.keep(digests[1].clone(), &tree, room);
    assert!(state.cached(&digests[0]).is_some());
    state.keep(digests[2].clone(), &tree, room);
    assert!(state.cached(&digests[1]).is_none());
    assert!(state.cached(&digests[0]).is_some() && state.cached(&digests[2]).is_some());
    assert_eq!(state.cached_bytes, room);
    state.keep(digests[1].clone(), &tree, 1);
    assert!(state.cached(&digests[1]).is_none());
}
