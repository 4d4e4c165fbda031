#!/bin/sh
# Makes the OpenPGP files of the tests in ../pgp.rs anew, with GnuPG.
set -eu
cd "$(dirname "$0")"
home=$(mktemp -d)
export GNUPGHOME="$home"
trap 'gpgconf --kill all; rm -rf "$home"' EXIT
gpg="gpg --batch --quiet --pinentry-mode loopback --passphrase"

printf 'tree 1234\nauthor A <a@example.com> 1 +0000\n\nmessage\n' >payload

# A primary key that signs.
$gpg '' --quick-gen-key 'Alice <alice@example.com>' ed25519 sign never
# A primary key that only certifies, with a sub-key that signs.
$gpg '' --quick-gen-key 'Bob <bob@example.com>' rsa2048 cert never
bob=$(gpg --list-keys --with-colons bob@example.com | awk -F: '/^fpr/{print $10; exit}')
$gpg '' --quick-add-key "$bob" rsa2048 sign never
# Somebody else.
$gpg '' --quick-gen-key 'Mallory <mallory@example.com>' ed25519 sign never
# A key that lived for a day in 2020.
$gpg '' --faked-system-time 20200101T000000! --quick-gen-key 'Old <old@example.com>' ed25519 sign 1d

for name in alice bob mallory; do
    gpg --armor --export "$name@example.com" >"$name.asc"
    $gpg '' --armor --yes --output "$name.sig" --local-user "$name@example.com" --detach-sign payload
done
gpg --armor --export old@example.com >old.asc
$gpg '' --faked-system-time 20200101T000100! --armor --yes --output old.sig --local-user old@example.com --detach-sign payload
# Alice's key, revoked.
fpr=$(gpg --list-keys --with-colons alice@example.com | awk -F: '/^fpr/{print $10; exit}')
sed 's/^:-----BEGIN/-----BEGIN/' "$home/openpgp-revocs.d/$fpr.rev" | gpg --batch --quiet --import
gpg --armor --export alice@example.com >alice-revoked.asc
for name in alice bob; do
    gpg --list-keys --with-colons "$name@example.com" | awk -F: '/^pub/{print $5; exit}' >"$name.id"
done
