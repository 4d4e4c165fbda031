//! Runs the embedded API server alone: `cargo run -p sluice-apiserver --example serve -- [STATE [ADDRESS]]`.

use std::path::PathBuf;

use sluice_apiserver::{Config, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let state = args.next().map(PathBuf::from);
    let listen = args
        .next()
        .unwrap_or_else(|| "127.0.0.1:0".into())
        .parse()?;
    let began = std::time::Instant::now();
    let server = Server::start(Config {
        listen,
        state: state.clone(),
        ..Config::default()
    })
    .await?;
    eprintln!(
        "listening on https://{} after {:?}",
        server.address(),
        began.elapsed()
    );
    match state {
        Some(state) => eprintln!("export KUBECONFIG={}", state.join("kubeconfig").display()),
        None => print!("{}", server.kubeconfig()),
    }
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}
