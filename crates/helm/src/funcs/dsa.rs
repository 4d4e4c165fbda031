//! DSA keys, which only `genPrivateKey "dsa"` still makes: 2048 and 256 bits.

use num_bigint::BigUint;
use sluice_gotemplate::CallError;

use super::der::{integer, sequence, to_pem};
use crate::session::Session;

const P_BYTES: usize = 256;
const Q_BYTES: usize = 32;
/// Rounds of Miller-Rabin, as in Go.
const ROUNDS: usize = 64;
/// How many candidates are tried before the search counts as failed.
const MAX_CANDIDATES: usize = 200_000;

/// Makes a key and returns it in PEM.
pub(super) fn generate(session: &mut Session) -> Result<String, CallError> {
    let (p, q) = parameters(session)?;
    let one = BigUint::from(1u8);
    let exponent = (&p - &one) / &q;
    let mut h = BigUint::from(2u8);
    let g = loop {
        let g = h.modpow(&exponent, &p);
        if g != one {
            break g;
        }
        h += 1u8;
    };
    let x = loop {
        let x = random(session, Q_BYTES);
        if x != BigUint::ZERO && x < q {
            break x;
        }
    };
    let y = g.modpow(&x, &p);
    let numbers = [BigUint::ZERO, p, q, g, y, x];
    let parts: Vec<Vec<u8>> = numbers.iter().map(|n| integer(&n.to_bytes_be())).collect();
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Ok(to_pem("DSA PRIVATE KEY", &sequence(&parts)))
}

/// Finds primes `p` and `q` with `q` dividing `p - 1`.
fn parameters(session: &mut Session) -> Result<(BigUint, BigUint), CallError> {
    let primes = small_primes();
    for _ in 0..MAX_CANDIDATES {
        let mut q = random(session, Q_BYTES);
        q.set_bit(0, true);
        q.set_bit(Q_BYTES as u64 * 8 - 1, true);
        if !is_prime(session, &q, &primes) {
            continue;
        }
        for _ in 0..4 * P_BYTES * 8 {
            let mut p = random(session, P_BYTES);
            p.set_bit(0, true);
            p.set_bit(P_BYTES as u64 * 8 - 1, true);
            let excess = &p % &q;
            p -= excess;
            p += 1u8;
            if p.bits() < P_BYTES as u64 * 8 {
                continue;
            }
            if is_prime(session, &p, &primes) {
                return Ok((p, q));
            }
        }
    }
    Err(CallError::new("failed to generate dsa parameters"))
}

fn random(session: &mut Session, bytes: usize) -> BigUint {
    let mut buffer = vec![0; bytes];
    session.fill(&mut buffer);
    BigUint::from_bytes_be(&buffer)
}

fn small_primes() -> Vec<u32> {
    let mut primes: Vec<u32> = vec![2];
    let mut n = 3;
    while primes.len() < 2000 {
        if primes
            .iter()
            .take_while(|p| **p * **p <= n)
            .all(|p| n % p != 0)
        {
            primes.push(n);
        }
        n += 2;
    }
    primes
}

fn is_prime(session: &mut Session, n: &BigUint, primes: &[u32]) -> bool {
    for prime in primes {
        if (n % *prime) == BigUint::ZERO {
            return *n == BigUint::from(*prime);
        }
    }
    let one = BigUint::from(1u8);
    let less_one = n - &one;
    let twos = less_one.trailing_zeros().unwrap_or(0);
    let odd = &less_one >> twos;
    let bytes = (n.bits() / 8) as usize;
    (0..ROUNDS).all(|_| {
        let base = random(session, bytes) + 2u8;
        let mut x = base.modpow(&odd, n);
        if x == one || x == less_one {
            return true;
        }
        for _ in 1..twos {
            x = x.modpow(&BigUint::from(2u8), n);
            if x == less_one {
                return true;
            }
        }
        false
    })
}
