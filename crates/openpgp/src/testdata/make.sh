#!/bin/sh
# Makes the keys and the provenance file anew, with GnuPG 2.2 and helm 4.
set -eu
cd "$(dirname "$0")"
GNUPGHOME=$(mktemp -d)
export GNUPGHOME
gpg --batch --gen-key - <<KEY
%no-protection
Key-Type: RSA
Key-Length: 2048
Subkey-Type: RSA
Subkey-Length: 2048
Name-Real: Helm Signer
Name-Email: signer@example.com
Expire-Date: 0
%commit
KEY
gpg --export > public.gpg
gpg --batch --export-secret-keys > secret.gpg
mkdir -p "$GNUPGHOME/loc"
printf 'apiVersion: v2\nname: loc\nversion: 0.3.0\n' > "$GNUPGHOME/loc/Chart.yaml"
"${HELM:-helm}" package "$GNUPGHOME/loc" --sign --key 'Helm Signer' --keyring secret.gpg -d "$GNUPGHOME"
cp "$GNUPGHOME/loc-0.3.0.tgz.prov" .
gpgconf --kill all
rm -rf "$GNUPGHOME"
