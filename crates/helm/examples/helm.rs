//! The commands on a real terminal, for comparing with Helm by hand.
use clap::Parser;
use std::time::SystemTime;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: sluice_helm::commands::HelmCommand,
}

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map(|d| (d.as_secs() as i64, d.subsec_nanos()))
        .unwrap_or_default();
    let world = move || {
        let mut state = now.0 as u64 ^ u64::from(now.1) << 32;
        sluice_helm::commands::simple_world(
            now,
            String::new(),
            Box::new(move |buffer| {
                for b in buffer {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    *b = state as u8;
                }
            }),
            None,
            None,
        )
    };
    let code = sluice_helm::commands::run(
        &cli.command,
        &mut sluice_helm::commands::Environment {
            out: &mut std::io::stdout().lock(),
            err: &mut std::io::stderr().lock(),
            world: &world,
            fetch: &|r| Err(format!("cannot fetch {}", r.reference)),
            cluster: None,
        },
    );
    code.into()
}
