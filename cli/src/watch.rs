//! Watching objects for as long as a command lasts.
//!
//! The API server ends every watch after some minutes; here a watch goes on
//! where the last one ended.

use std::fmt::Debug;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use kube::Resource;
use kube::api::{Api, WatchEvent, WatchParams};
use serde::de::DeserializeOwned;

use crate::error::{Failure, Outcome};

/// How long to wait before a watch that ended is taken up again.
const PAUSE: Duration = Duration::from_secs(1);
/// The server no longer knows the version to go on from.
const EXPIRED: u16 = 410;

/// A change of an object, or an object that was there from the start.
#[derive(Debug)]
pub enum Change<K> {
    /// The object is there and like this.
    Present(K),
    /// The object is gone and was like this.
    Gone(K),
}

struct Watch<K> {
    api: Api<K>,
    params: WatchParams,
    /// The version to go on from; empty to begin with what is there.
    version: String,
    events: Option<BoxStream<'static, kube::Result<WatchEvent<K>>>>,
}

/// All objects that the parameters select, then every change of one, without end.
pub fn changes<K>(api: Api<K>, params: WatchParams) -> impl Stream<Item = Outcome<Change<K>>>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let params = WatchParams {
        bookmarks: true,
        ..params
    };
    let watch = Watch {
        api,
        params,
        version: String::new(),
        events: None,
    };
    futures::stream::try_unfold(watch, |mut watch| async move {
        let change = next(&mut watch).await?;
        Ok(Some((change, watch)))
    })
}

/// Whether starting afresh helps.
fn is_expired(status: &kube::core::Status, version: &str) -> bool {
    status.code == EXPIRED && !version.is_empty()
}

async fn next<K>(watch: &mut Watch<K>) -> Outcome<Change<K>>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    loop {
        let events = match &mut watch.events {
            Some(events) => events,
            none => match watch.api.watch(&watch.params, &watch.version).await {
                Ok(events) => none.insert(events.boxed()),
                Err(kube::Error::Api(status)) if is_expired(&status, &watch.version) => {
                    watch.version.clear();
                    continue;
                }
                Err(error) => return Err(error.into()),
            },
        };
        let change = match events.next().await {
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                Change::Present(object)
            }
            Some(Ok(WatchEvent::Deleted(object))) => Change::Gone(object),
            Some(Ok(WatchEvent::Bookmark(bookmark))) => {
                watch.version = bookmark.metadata.resource_version;
                continue;
            }
            Some(Ok(WatchEvent::Error(status))) if status.code == EXPIRED => {
                watch.version.clear();
                watch.events = None;
                continue;
            }
            Some(Ok(WatchEvent::Error(status))) => return Err(Failure::new(status.message)),
            Some(Err(error)) => return Err(error.into()),
            None => {
                watch.events = None;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (Change::Present(object) | Change::Gone(object)) = &change;
        if let Some(version) = &object.meta().resource_version {
            watch.version.clone_from(version);
        }
        return Ok(change);
    }
}
