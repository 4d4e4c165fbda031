//! Addresses and ports of Services: unique in the cluster.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::Write;
use crate::random;
use crate::status::{Cause, Result, Status};
use crate::store::{Change, ChangeKind, Store, Table};

/// The first address of the Services, 10.96.0.0/12 without its first 16 addresses.
const FIRST: u32 = 0x0a60_0010;
/// How many addresses there are.
const ADDRESSES: u32 = (1 << 20) - 32;
/// The node ports of the real server.
const PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;

#[derive(Default)]
struct Used {
    addresses: HashSet<Ipv4Addr>,
    ports: HashSet<u16>,
}

/// What Services have taken.
#[derive(Default)]
pub struct Allocator {
    used: Mutex<Used>,
}

fn addresses(service: &Value) -> Vec<Ipv4Addr> {
    let one = service["spec"]["clusterIP"].as_str();
    let all = service["spec"]["clusterIPs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    one.into_iter()
        .chain(all)
        .filter_map(|text| text.parse().ok())
        .collect()
}

fn ports(service: &Value) -> Vec<u16> {
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let nodes = ports
        .filter_map(|port| port["nodePort"].as_u64())
        .chain(service["spec"]["healthCheckNodePort"].as_u64());
    nodes
        .filter_map(|port| u16::try_from(port).ok())
        .filter(|port| *port > 0)
        .collect()
}

impl Allocator {
    /// What the Services of the store have.
    pub fn new(store: &Store) -> Self {
        let allocator = Allocator::default();
        for service in store.table("services").all() {
            allocator.take(&service.value());
        }
        allocator
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, service: &Value) {
        let mut used = self.lock();
        used.addresses.extend(addresses(service));
        used.ports.extend(ports(service));
    }

    fn release(&self, addresses: &[Ipv4Addr], ports: &[u16]) {
        let mut used = self.lock();
        addresses.iter().for_each(|address| {
            used.addresses.remove(address);
        });
        ports.iter().for_each(|port| {
            used.ports.remove(port);
        });
    }

    /// Takes note of a write.
    pub fn follow(&self, table: &Table, change: &Change) {
        if &*table.name != "services" {
            return;
        }
        if let Some(before) = &change.before {
            let before = before.value();
            self.release(&addresses(&before), &ports(&before));
        }
        if change.kind == ChangeKind::Put {
            self.take(&change.object.value());
        }
    }

    fn address(&self) -> Option<Ipv4Addr> {
        let mut used = self.lock();
        let start = random::below(ADDRESSES);
        let free = (0..ADDRESSES).map(|step| Ipv4Addr::from(FIRST + (start + step) % ADDRESSES));
        let found = free
            .into_iter()
            .find(|address| !used.addresses.contains(address))?;
        used.addresses.insert(found);
        Some(found)
    }

    fn port(&self) -> Option<u16> {
        let mut used = self.lock();
        let count = u32::from(PORTS.end() - PORTS.start() + 1);
        let start = random::below(count);
        let free = (0..count).map(|step| PORTS.start() + ((start + step) % count) as u16);
        let found = free.into_iter().find(|port| !used.ports.contains(port))?;
        used.ports.insert(found);
        Some(found)
    }
}

/// What was taken for a Service that is not stored yet; given back unless it is kept.
#[derive(Default)]
pub struct Reserved {
    allocator: Option<Arc<Allocator>>,
    addresses: Vec<Ipv4Addr>,
    ports: Vec<u16>,
}

impl Reserved {
    /// The Service is stored: what it has, it has.
    pub fn keep(mut self) {
        self.allocator = None;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(allocator) = &self.allocator {
            allocator.release(&self.addresses, &self.ports);
        }
    }
}

fn invalid(name: &str, field: &str, message: String) -> Status {
    let cause = Cause {
        reason: "FieldValueInvalid".into(),
        message,
        field: field.into(),
    };
    Status::invalid("", "Service", name, vec![cause])
}

/// Gives a Service the addresses and ports that its type needs; what it had before, it keeps.
///
/// # Errors
/// 422 for an address or port that is taken, 500 where there are none left.
pub(super) fn allocate(
    write: &Write<'_>,
    before: Option<&Value>,
    service: &mut Value,
) -> Result<Reserved> {
    let kind = service["spec"]["type"]
        .as_str()
        .unwrap_or("ClusterIP")
        .to_owned();
    let name = service["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if let Some(before) = before {
        keep(before, service, &kind);
    }
    let allocator = &write.app.services;
    let mut reserved = Reserved {
        allocator: Some(allocator.clone()),
        addresses: Vec::new(),
        ports: Vec::new(),
    };
    let known_address = before.map(addresses).unwrap_or_default();
    let known_ports = before.map(ports).unwrap_or_default();
    let spec = &mut service["spec"];
    if kind == "ExternalName" {
        if let Some(map) = spec.as_object_mut() {
            for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                map.remove(key);
            }
        }
        return Ok(reserved);
    }
    let asked = spec["clusterIP"]
        .as_str()
        .filter(|ip| !ip.is_empty())
        .map(str::to_owned);
    let asked = asked.or_else(|| spec["clusterIPs"][0].as_str().map(str::to_owned));
    let address = match asked.as_deref() {
        Some("None") => "None".to_owned(),
        Some(text) => {
            let parsed: Option<Ipv4Addr> = text.parse().ok();
            let taken = parsed.is_some_and(|ip| {
                !known_address.contains(&ip) && allocator.lock().addresses.contains(&ip)
            });
            if taken {
                let message = format!(
                    "Invalid value: [{text:?}]: failed to allocate IP {text}: provided IP is already allocated"
                );
                return Err(invalid(&name, "spec.clusterIPs", message));
            }
            text.to_owned()
        }
        None => {
            let free = allocator.address();
            let free = free
                .ok_or_else(|| Status::internal("failed to allocate a serviceIP: range is full"))?;
            reserved.addresses.push(free);
            free.to_string()
        }
    };
    spec["clusterIP"] = address.as_str().into();
    if !spec["clusterIPs"].is_array() || before.is_none() {
        spec["clusterIPs"] = json!([address]);
    }
    // Endpoints that others fill in may be of either family.
    let selects = spec["selector"]
        .as_object()
        .is_some_and(|selector| !selector.is_empty());
    let (families, policy) = match spec["clusterIP"] == "None" && !selects {
        true => (json!(["IPv4", "IPv6"]), json!("RequireDualStack")),
        false => (json!(["IPv4"]), json!("SingleStack")),
    };
    for (key, value) in [("ipFamilies", families), ("ipFamilyPolicy", policy)] {
        if spec[key].is_null() {
            spec[key] = value;
        }
    }
    let balanced = kind == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"] != false;
    if kind == "NodePort" || balanced {
        let mut mine: Vec<u16> = Vec::new();
        for (at, port) in spec["ports"]
            .as_array_mut()
            .into_iter()
            .flatten()
            .enumerate()
        {
            match port["nodePort"]
                .as_u64()
                .and_then(|port| u16::try_from(port).ok())
                .filter(|port| *port > 0)
            {
                Some(asked) => {
                    if !known_ports.contains(&asked)
                        && !mine.contains(&asked)
                        && allocator.lock().ports.contains(&asked)
                    {
                        let message =
                            format!("Invalid value: {asked}: provided port is already allocated");
                        return Err(invalid(
                            &name,
                            &format!("spec.ports[{at}].nodePort"),
                            message,
                        ));
                    }
                    mine.push(asked);
                }
                None => {
                    let free = allocator.port();
                    let free = free.ok_or_else(|| {
                        Status::internal("failed to allocate a nodePort: range is full")
                    })?;
                    reserved.ports.push(free);
                    port["nodePort"] = free.into();
                }
            }
        }
        if spec["externalTrafficPolicy"] == "Local"
            && kind == "LoadBalancer"
            && spec["healthCheckNodePort"].as_u64().unwrap_or(0) == 0
        {
            let free = allocator.port();
            let free = free
                .ok_or_else(|| Status::internal("failed to allocate a nodePort: range is full"))?;
            reserved.ports.push(free);
            spec["healthCheckNodePort"] = free.into();
        }
    }
    Ok(reserved)
}

/// What an update that does not name them keeps.
fn keep(before: &Value, service: &mut Value, kind: &str) {
    let old = &before["spec"];
    let needs_address = |kind: &str| kind != "ExternalName";
    let old_kind = old["type"].as_str().unwrap_or("ClusterIP");
    let spec = &mut service["spec"];
    if needs_address(kind) && needs_address(old_kind) {
        for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            let empty = spec[key].is_null()
                || spec[key] == ""
                || spec[key].as_array().is_some_and(Vec::is_empty);
            if empty && !old[key].is_null() {
                spec[key] = old[key].clone();
            }
        }
    }
    let node_ports = |kind: &str| matches!(kind, "NodePort" | "LoadBalancer");
    let listed = old["ports"].as_array().cloned().unwrap_or_default();
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        let unset = port["nodePort"].as_u64().unwrap_or(0) == 0;
        let same = listed.iter().find(|known| {
            known["port"] == port["port"]
                && known["protocol"].as_str().unwrap_or("TCP")
                    == port["protocol"].as_str().unwrap_or("TCP")
        });
        match same {
            Some(same)
                if unset
                    && node_ports(kind)
                    && node_ports(old_kind)
                    && !same["nodePort"].is_null() =>
            {
                port["nodePort"] = same["nodePort"].clone();
            }
            Some(same)
                if !node_ports(kind)
                    && node_ports(old_kind)
                    && same["nodePort"] == port["nodePort"] =>
            {
                if let Some(map) = port.as_object_mut() {
                    map.remove("nodePort");
                }
            }
            _ => {}
        }
    }
    let still = kind == "LoadBalancer" && spec["externalTrafficPolicy"] == "Local";
    if still && spec["healthCheckNodePort"].is_null() && !old["healthCheckNodePort"].is_null() {
        spec["healthCheckNodePort"] = old["healthCheckNodePort"].clone();
    }
    if !still && let Some(map) = spec.as_object_mut() {
        map.remove("healthCheckNodePort");
    }
}
