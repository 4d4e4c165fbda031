use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use sluice_git::RemoteUrl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

fn key() -> (RsaKeyPair, String) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let body = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    (
        pair,
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"),
    )
}

#[test]
fn the_statement_names_the_app_and_verifies() {
    let (pair, pem) = key();
    let statement = statement("7", &pem, 1000).unwrap();
    let (signed, signature) = statement.rsplit_once('.').unwrap();
    let (_, claims) = signed.split_once('.').unwrap();
    let claims: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims, json!({"iss": "7", "iat": 970, "exp": 1090}));
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    public
        .verify(
            signed.as_bytes(),
            &URL_SAFE_NO_PAD.decode(signature).unwrap(),
        )
        .unwrap();
    assert_eq!(
        super::statement("7", "x", 1000).unwrap_err(),
        "could not parse private key"
    );
}

/// Answers each request with what is prepared for its first line.
async fn server(answers: Vec<(&'static str, u16, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 16 * 1024];
            let n = stream.read(&mut request).await.unwrap();
            let text = String::from_utf8_lossy(&request[..n]).into_owned();
            assert!(
                text.to_lowercase().contains("authorization: bearer ey"),
                "{text}"
            );
            let line = text.lines().next().unwrap().to_owned();
            let (status, body) = answers
                .iter()
                .find(|(start, _, _)| line.starts_with(start))
                .map_or((404, String::new()), |(_, status, body)| {
                    (*status, body.clone())
                });
            let answer = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    base
}

async fn exchanged(
    answers: Vec<(&'static str, u16, String)>,
    installation: Installation,
) -> Result<Token, String> {
    let app = GitHubApp {
        app_id: "7".into(),
        private_key: Secret::new(key().1),
        installation,
        base_url: Some(format!("{}/api/v3/", server(answers).await)),
    };
    token(
        &app,
        &Remote::new(RemoteUrl::parse("https://github.com/org/app").unwrap()),
    )
    .await
}

#[tokio::test]
async fn an_installation_s_token_is_got_by_number_and_by_owner() {
    let expires = Timestamp::now() + jiff::SignedDuration::from_secs(3600);
    let granted = json!({"token": "t", "expires_at": expires.to_string()}).to_string();
    let grant = (
        "POST /api/v3/app/installations/42/access_tokens",
        201,
        granted,
    );
    let token = exchanged(vec![grant.clone()], Installation::Id("42".into()))
        .await
        .unwrap();
    assert_eq!(token.secret, Secret::new("t"));
    assert!(token.life > Duration::from_secs(3500) && token.life <= Duration::from_secs(3600));
    let user = (
        "GET /api/v3/users/me/installation",
        200,
        json!({"id": 42}).to_string(),
    );
    assert!(
        exchanged(vec![user, grant.clone()], Installation::Owner("me".into()))
            .await
            .is_ok()
    );
    let nobody = exchanged(vec![grant.clone()], Installation::Owner("me".into()))
        .await
        .unwrap_err();
    assert_eq!(nobody, "no installation found for owner `me`");
    let refused = (
        "POST /api/v3/app/installations/42",
        401,
        "secret words".into(),
    );
    let refused = exchanged(vec![refused], Installation::Id("42".into()))
        .await
        .unwrap_err();
    assert!(
        refused.contains("401") && !refused.contains("secret words"),
        "{refused}"
    );
    assert!(
        exchanged(vec![grant], Installation::Owner("../x".into()))
            .await
            .is_err()
    );
}
