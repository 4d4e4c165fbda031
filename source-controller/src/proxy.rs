//! The proxy that the environment names for connections that are not HTTP: `ALL_PROXY`, save for the
//! hosts of `NO_PROXY`.

use sluice_git::{Proxy, RemoteUrl, Secret};

/// What the environment says.
#[derive(Debug, Clone, Default)]
pub struct EnvironmentProxy {
    proxy: Option<Proxy>,
    exempt: Vec<String>,
}

impl EnvironmentProxy {
    /// Reads the variables through `get`. Only a `socks5` proxy carries SSH.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> EnvironmentProxy {
        let either = |name: &str| {
            get(name)
                .or_else(|| get(&name.to_lowercase()))
                .filter(|value| !value.is_empty())
        };
        let proxy = either("ALL_PROXY").and_then(|address| parse(&address));
        let exempt = either("NO_PROXY").unwrap_or_default();
        let exempt = exempt
            .split(',')
            .map(|host| host.trim().trim_start_matches('.').to_lowercase())
            .filter(|host| !host.is_empty())
            .collect();
        EnvironmentProxy { proxy, exempt }
    }

    /// The proxy to reach `host` through.
    pub fn for_host(&self, host: &str) -> Option<Proxy> {
        let host = host.to_lowercase();
        let direct = self.exempt.iter().any(|exempt| {
            exempt == "*"
                || host == *exempt
                || host
                    .strip_suffix(exempt.as_str())
                    .is_some_and(|rest| rest.ends_with('.'))
        });
        self.proxy.clone().filter(|_| !direct)
    }
}

fn parse(address: &str) -> Option<Proxy> {
    let (scheme, rest) = address.split_once("://")?;
    if !matches!(scheme, "socks5" | "socks5h") {
        return None;
    }
    // The parser of remotes knows about user, password and port.
    let RemoteUrl::Http(url) = RemoteUrl::parse(&format!("http://{rest}")).ok()? else {
        return None;
    };
    let host = url.host_str()?;
    let port = url.port().unwrap_or(1080);
    Some(Proxy {
        address: format!("socks5://{host}:{port}"),
        username: Some(url.username().to_owned()).filter(|user| !user.is_empty()),
        password: url.password().map(Secret::new),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(all: &str, no: &str) -> EnvironmentProxy {
        let (all, no) = (all.to_owned(), no.to_owned());
        EnvironmentProxy::read(move |name| match name {
            "ALL_PROXY" => Some(all.clone()),
            "no_proxy" => Some(no.clone()),
            _ => None,
        })
    }

    #[test]
    fn socks_proxies_are_used_save_for_exempt_hosts() {
        let proxy = environment("socks5://u:p@proxy:1081", "internal.example.com, .corp");
        let found = proxy.for_host("github.com").unwrap();
        assert_eq!(found.address, "socks5://proxy:1081");
        assert_eq!(
            (found.username.as_deref(), found.password),
            (Some("u"), Some(Secret::new("p")))
        );
        assert_eq!(proxy.for_host("INTERNAL.example.com"), None);
        assert_eq!(proxy.for_host("git.corp"), None);
        assert!(proxy.for_host("notcorp").is_some());
        assert_eq!(environment("http://proxy", "").for_host("x"), None);
        assert_eq!(environment("socks5://proxy", "*").for_host("x"), None);
        assert_eq!(
            environment("socks5://proxy", "")
                .for_host("x")
                .unwrap()
                .address,
            "socks5://proxy:1080"
        );
    }
}
