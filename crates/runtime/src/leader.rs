//! Leader election on a Lease, as client-go does it: of several replicas one works, the others wait.

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Times and names of an election.
#[derive(Debug, Clone)]
pub struct Election {
    /// Name of the Lease.
    pub lease: String,
    /// Who we are; unique among the replicas.
    pub identity: String,
    /// How long a leader that is silent keeps its lease.
    pub lease_duration: Duration,
    /// How long a leader tries to renew before it gives up.
    pub renew_deadline: Duration,
    /// Pause between two tries.
    pub retry_period: Duration,
    /// Whether the lease is given back on a graceful stop.
    pub release_on_cancel: bool,
}

/// The Lease name of a controller: sharded instances get the start of their selector's hash behind it.
pub fn lease_name(controller: &str, label_selector: &str) -> String {
    if label_selector.is_empty() {
        return format!("{controller}-leader-election");
    }
    let hash = Sha256::digest(label_selector.as_bytes());
    let short: String = hash[..4].iter().map(|b| format!("{b:02x}")).collect();
    format!("{controller}-leader-election-{short}")
}

/// What a look at the lease says.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// We hold it, or it is free: write this next state.
    Take {
        transitions: i32,
        acquired: Acquired,
    },
    /// Somebody else holds it.
    Wait,
}

#[derive(Debug, PartialEq, Eq)]
enum Acquired {
    Now,
    Before,
}

/// Decides from the lease as read. `silent_for` says how long we have seen this very record unchanged:
/// clocks of two machines are never compared.
fn standing(lease: &Lease, identity: &str, silent_for: Duration) -> Standing {
    let spec = lease.spec.clone().unwrap_or_default();
    let transitions = spec.lease_transitions.unwrap_or(0);
    let holder = spec.holder_identity.unwrap_or_default();
    if holder == identity {
        return Standing::Take {
            transitions,
            acquired: Acquired::Before,
        };
    }
    let duration =
        Duration::from_secs(u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0));
    if holder.is_empty() || silent_for >= duration {
        return Standing::Take {
            transitions: transitions.saturating_add(1),
            acquired: Acquired::Now,
        };
    }
    Standing::Wait
}

/// One participant of an election.
pub struct Candidate {
    api: Api<Lease>,
    election: Election,
    /// The record as last seen, and since when it has not changed.
    seen: Option<(Option<String>, Instant)>,
}

impl Candidate {
    /// A participant that has not tried yet.
    pub fn new(api: Api<Lease>, election: Election) -> Self {
        Self {
            api,
            election,
            seen: None,
        }
    }

    /// Waits until we lead; `false` if `stop` came first.
    pub async fn acquire(&mut self, stop: &CancellationToken) -> bool {
        loop {
            match self.try_once().await {
                Ok(true) => return true,
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "leader election failed, trying again"
                    );
                }
            }
            tokio::select! {
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(self.election.retry_period) => {}
            }
        }
    }

    /// Renews until the lease is lost or `stop` comes; gives it back on `stop` if so configured.
    ///
    /// # Errors
    /// The lease was lost: the process must stop working at once.
    pub async fn hold(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    if self.election.release_on_cancel {
                        self.release().await;
                    }
                    return Ok(());
                }
                () = tokio::time::sleep(self.election.retry_period) => {}
            }
            let left = self
                .election
                .renew_deadline
                .saturating_sub(renewed.elapsed());
            match tokio::time::timeout(left, self.try_once()).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => anyhow::bail!("leader election lost"),
                Ok(Err(error)) => {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "cannot renew the leader lease"
                    );
                }
                Err(_) => {}
            }
            if renewed.elapsed() >= self.election.renew_deadline {
                anyhow::bail!(
                    "leader election lost: the lease could not be renewed for {:?}",
                    self.election.renew_deadline
                );
            }
        }
    }

    async fn try_once(&mut self) -> anyhow::Result<bool> {
        let name = &self.election.lease;
        let Some(mut lease) = self
            .api
            .get_opt(name)
            .await
            .with_context(|| format!("reading lease `{name}`"))?
        else {
            let mut lease = Lease {
                metadata: ObjectMeta {
                    name: Some(name.clone()),
                    ..ObjectMeta::default()
                },
                ..Lease::default()
            };
            self.fill(&mut lease, 0, Acquired::Now);
            return match self.api.create(&PostParams::default(), &lease).await {
                Ok(_) => Ok(true),
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
                Err(error) => Err(error).with_context(|| format!("creating lease `{name}`")),
            };
        };
        let version = lease.metadata.resource_version.clone();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => {
                let now = Instant::now();
                self.seen = Some((version, now));
                now
            }
        };
        match standing(&lease, &self.election.identity, since.elapsed()) {
            Standing::Wait => Ok(false),
            Standing::Take {
                transitions,
                acquired,
            } => {
                self.fill(&mut lease, transitions, acquired);
                match self.api.replace(name, &PostParams::default(), &lease).await {
                    Ok(_) => Ok(true),
                    Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
                    Err(error) => Err(error).with_context(|| format!("updating lease `{name}`")),
                }
            }
        }
    }

    fn fill(&self, lease: &mut Lease, transitions: i32, acquired: Acquired) {
        let now = MicroTime(Timestamp::now());
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(self.election.identity.clone());
        spec.lease_duration_seconds =
            Some(i32::try_from(self.election.lease_duration.as_secs()).unwrap_or(i32::MAX));
        spec.lease_transitions = Some(transitions);
        spec.renew_time = Some(now.clone());
        if acquired == Acquired::Now {
            spec.acquire_time = Some(now);
        }
    }

    /// Empties the holder, so that the next candidate need not wait.
    async fn release(&self) {
        let give_back = async {
            let mut lease = self.api.get(&self.election.lease).await?;
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() != Some(self.election.identity.as_str()) {
                return Ok(());
            }
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            self.api
                .replace(&self.election.lease, &PostParams::default(), &lease)
                .await
                .map(|_| ())
        };
        let outcome: Result<Result<(), kube::Error>, _> =
            tokio::time::timeout(Duration::from_secs(2), give_back).await;
        if !matches!(outcome, Ok(Ok(()))) {
            tracing::error!("the leader lease was not given back, it will run out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::coordination::v1::LeaseSpec;

    fn lease(holder: &str) -> Lease {
        Lease {
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.into()),
                lease_duration_seconds: Some(35),
                lease_transitions: Some(4),
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        }
    }

    #[test]
    fn our_own_lease_is_renewed_without_a_transition() {
        assert_eq!(
            standing(&lease("me"), "me", Duration::ZERO),
            Standing::Take {
                transitions: 4,
                acquired: Acquired::Before
            }
        );
    }

    #[test]
    fn a_live_leader_is_respected_and_a_silent_one_replaced() {
        let other = lease("other");
        assert_eq!(
            standing(&other, "me", Duration::from_secs(34)),
            Standing::Wait
        );
        let taken = Standing::Take {
            transitions: 5,
            acquired: Acquired::Now,
        };
        assert_eq!(standing(&other, "me", Duration::from_secs(35)), taken);
        assert_eq!(standing(&lease(""), "me", Duration::ZERO), taken);
    }

    #[test]
    fn sharded_instances_have_a_lease_of_their_own() {
        assert_eq!(
            lease_name("kustomize-controller", ""),
            "kustomize-controller-leader-election"
        );
        let sharded = lease_name("kustomize-controller", "sharding.fluxcd.io/key=shard1");
        assert_eq!(
            sharded.len(),
            "kustomize-controller-leader-election-".len() + 8
        );
    }
}
