//! The address that artifacts are advertised under. Pure.

/// What goes into artifact URLs, given `--storage-adv-addr`, `--storage-addr` and the host's name.
///
/// `bound` is the port that the server really listens on; it counts where the address leaves the
/// choice to the system.
pub fn advertised(advertised: &str, listening: &str, host: &str, bound: u16) -> String {
    if !advertised.is_empty() {
        return advertised.to_owned();
    }
    let (address, port) = listening.rsplit_once(':').unwrap_or((listening, ""));
    let name = match address {
        "" => "localhost",
        "0.0.0.0" => host,
        other => other,
    };
    match port {
        "" => name.to_owned(),
        "0" => format!("{name}:{bound}"),
        port => format!("{name}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listening_address_is_made_reachable() {
        for (adv, listening, want) in [
            (
                "source-controller.flux-system.svc.cluster.local.",
                ":9090",
                "source-controller.flux-system.svc.cluster.local.",
            ),
            ("", ":9090", "localhost:9090"),
            ("", "0.0.0.0:9090", "pod-1:9090"),
            ("", "127.0.0.1:9090", "127.0.0.1:9090"),
            ("", "[::1]:9090", "[::1]:9090"),
            ("", "127.0.0.1:0", "127.0.0.1:41234"),
            (
                "https://artifacts.example.com",
                ":9090",
                "https://artifacts.example.com",
            ),
        ] {
            assert_eq!(advertised(adv, listening, "pod-1", 41234), want);
        }
    }
}
