//! CA bundles of conversion webhooks in CRDs.
//!
//! Charts ship CRDs with a placeholder that another controller replaces. The API server takes such a CRD
//! but never establishes it, so a bundle that cannot be one is not sent.

use base64::Engine as _;
use serde_json::Value;

use crate::object::Gvk;

/// Removes the CA bundle of a CRD's conversion webhook if it holds no certificate or a broken one.
pub fn drop_invalid(object: &mut Value) {
    let is_definition = Gvk::of(object).is_some_and(|gvk| {
        gvk.group == "apiextensions.k8s.io" && gvk.kind == "CustomResourceDefinition"
    });
    if !is_definition {
        return;
    }
    let config = object
        .pointer_mut("/spec/conversion/webhook/clientConfig")
        .and_then(Value::as_object_mut);
    let Some(config) = config.filter(|config| config.contains_key("caBundle")) else {
        return;
    };
    let is_valid = match config.get("caBundle") {
        Some(Value::String(text)) => text.is_empty() || is_bundle(text),
        _ => false,
    };
    if !is_valid {
        config.remove("caBundle");
    }
}

/// Whether a text is the base64 form of a PEM file with one certificate or more, all of them whole.
fn is_bundle(text: &str) -> bool {
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).ok();
    let Some(pem) = decode(text).and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return false;
    };
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let mut certificates = 0;
    for block in pem.split(begin).skip(1) {
        let Some((body, _)) = block.split_once(end) else {
            continue;
        };
        // With headers it is encrypted, or none.
        if body.contains(':') {
            continue;
        }
        let body: String = body.split_whitespace().collect();
        match decode(&body) {
            Some(der) if is_certificate(&der) => certificates += 1,
            _ => return false,
        }
    }
    certificates > 0
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// Whether bytes have the outer structure of an X.509 certificate in DER.
fn is_certificate(der: &[u8]) -> bool {
    let Some(([(SEQUENCE, certificate)], [])) = elements::<1>(der) else {
        return false;
    };
    let Some(([(SEQUENCE, body), (SEQUENCE, _), (BIT_STRING, _)], [])) = elements::<3>(certificate)
    else {
        return false;
    };
    let body = match element(body) {
        Some(((VERSION, _), rest)) => rest,
        _ => body,
    };
    // Serial number, algorithm, issuer, validity, subject, key; extensions may follow.
    let tags = [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE];
    elements::<6>(body).is_some_and(|(found, _)| found.map(|(tag, _)| tag) == tags)
}

/// A tag and its content.
type Element<'d> = (u8, &'d [u8]);

/// The first elements of bytes, and what follows them.
fn elements<const N: usize>(mut der: &[u8]) -> Option<([Element<'_>; N], &[u8])> {
    let mut found = [(0, &[][..]); N];
    for slot in &mut found {
        (*slot, der) = element(der)?;
    }
    Some((found, der))
}

/// The first element of bytes, and what follows it.
fn element(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        let bytes = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
        let length = bytes
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        (length, &rest[count..])
    };
    let content = rest.get(..length)?;
    Some(((tag, content), &rest[length..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// A self-signed certificate: `openssl req -x509 -newkey ed25519 -nodes -subj /CN=a -days 1`.
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
        MIIBLDCB36ADAgECAhQ3+LgM/EgD9KbXNvyuu1hgqAP1xDAFBgMrZXAwDDEKMAgG\n\
        A1UEAwwBYTAeFw0yNjExMjUwNTAyMzVaFw0yNjExMjYwNTAyMzVaMAwxCjAIBgNV\n\
        BAMMAWEwKjAFBgMrZXADIQD8XJOhJjCW2qbBSG2k/JUNmM2sCV8yVIfDlTV2w+Nn\n\
        o6NTMFEwHQYDVR0OBBYEFDxQRN9eSUc2/S7N/fnjlOehq6v8MB8GA1UdIwQYMBaA\n\
        FDxQRN9eSUc2/S7N/fnjlOehq6v8MA8GA1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EA\n\
        fRWVmQwiw83/tRkhLRs7oCl9EQj2u3So8P7aqFQIkUrel98eSc16B03d8HllaVON\n\
        Kgbr/WBsWrFhyRCrT5eYAA==\n\
        -----END CERTIFICATE-----\n";

    fn kept(bundle: &str) -> bool {
        let mut definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": bundle}}}}});
        drop_invalid(&mut definition);
        let config = &definition["spec"]["conversion"]["webhook"]["clientConfig"];
        config.get("caBundle").is_some()
    }

    fn base64(text: &str) -> String {
        base64::engine::general_purpose::STANDARD.encode(text)
    }

    #[test]
    fn only_whole_certificates_and_an_empty_bundle_are_sent() {
        let broken = CERTIFICATE.replacen("MII", "MIIA", 1);
        let twice = format!("# ours\n{CERTIFICATE}\n{CERTIFICATE}");
        for (bundle, is_kept) in [
            (String::new(), true),
            (base64(CERTIFICATE), true),
            (base64(&twice), true),
            ("Cg==".to_owned(), false),
            ("Zm9v".to_owned(), false),
            ("not base64".to_owned(), false),
            (base64(&broken), false),
            (base64(&format!("{CERTIFICATE}{broken}")), false),
        ] {
            assert_eq!(kept(&bundle), is_kept, "{bundle}");
        }
    }

    #[test]
    fn other_objects_keep_everything() {
        let webhook = json!({"apiVersion": "example.com/v1", "kind": "X",
            "spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": "x"}}}}});
        let mut same = webhook.clone();
        drop_invalid(&mut same);
        assert_eq!(same, webhook);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            is_certificate(&bytes);
            is_bundle(&base64(&String::from_utf8_lossy(&bytes)));
        }
    }
}
