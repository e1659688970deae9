//! Cipher suites and curves by OpenSSL's names: which of rustls's suites a cipher string selects, and how a suite is
//! called in the log and in SHOW.

use rustls::{CipherSuite, NamedGroup};

/// TLS 1.3, in OpenSSL's order.
const TLS13: [(&str, CipherSuite); 3] = [
    ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
];

/// TLS 1.3 suites that OpenSSL knows and rustls does not have.
const TLS13_MISSING: [&str; 2] = ["TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"];

/// A suite of TLS 1.2, with the words of a cipher string that select it.
struct Suite {
    name: &'static str,
    suite: CipherSuite,
    words: &'static [&'static str],
}

/// What selects every one of them: all have forward secrecy, an AEAD and a key of 128 bits or more.
const EVERY: [&str; 14] = [
    "all", "default", "secure", "compat", "legacy", "insecure", "normal", "fast", "high", "eecdh", "ecdhe",
    "kecdhe", "keecdh", "tlsv1.2",
];

/// TLS 1.2, in OpenSSL's order.
const TLS12: [Suite; 6] = [
    Suite {
        name: "ECDHE-ECDSA-AES256-GCM-SHA384",
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        words: &["ecdsa", "aecdsa", "aes", "aes256", "aesgcm", "sha384", "fips"],
    },
    Suite {
        name: "ECDHE-RSA-AES256-GCM-SHA384",
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        words: &["arsa", "aes", "aes256", "aesgcm", "sha384", "fips"],
    },
    Suite {
        name: "ECDHE-ECDSA-CHACHA20-POLY1305",
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        words: &["ecdsa", "aecdsa", "chacha20", "sha256"],
    },
    Suite {
        name: "ECDHE-RSA-CHACHA20-POLY1305",
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        words: &["arsa", "chacha20", "sha256"],
    },
    Suite {
        name: "ECDHE-ECDSA-AES128-GCM-SHA256",
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        words: &["ecdsa", "aecdsa", "aes", "aes128", "aesgcm", "sha256", "fips"],
    },
    Suite {
        name: "ECDHE-RSA-AES128-GCM-SHA256",
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        words: &["arsa", "aes", "aes128", "aesgcm", "sha256", "fips"],
    },
];

/// Words of OpenSSL's cipher strings that select nothing that rustls has.
const WORDS_OF_OTHERS: [&str; 45] = [
    "complementofdefault",
    "complementofall",
    "medium",
    "low",
    "exp",
    "export",
    "enull",
    "null",
    "anull",
    "krsa",
    "rsa",
    "kdhe",
    "kedh",
    "dh",
    "dhe",
    "edh",
    "adh",
    "aecdh",
    "kecdh",
    "ecdh",
    "adss",
    "dss",
    "aesccm",
    "aesccm8",
    "aria",
    "aria128",
    "aria256",
    "camellia",
    "camellia128",
    "camellia256",
    "3des",
    "des",
    "rc4",
    "rc2",
    "idea",
    "seed",
    "md5",
    "sha1",
    "sha",
    "cbc",
    "psk",
    "kpsk",
    "srp",
    "ksrp",
    "sslv3",
];

/// Beginnings of the names of cipher suites; OpenSSL has some 200 of them.
const NAMES_OF_OTHERS: [&str; 22] = [
    "ecdhe-",
    "dhe-",
    "ecdh-",
    "adh-",
    "aecdh-",
    "rsa-",
    "psk-",
    "srp-",
    "edh-",
    "aes128-",
    "aes256-",
    "aria128-",
    "aria256-",
    "camellia128-",
    "camellia256-",
    "des-",
    "rc4-",
    "null-",
    "idea-",
    "seed-",
    "kecdhe",
    "tlsv1",
];

/// Curves that OpenSSL knows and `ring` does not have.
const CURVES_OF_OTHERS: [&str; 8] = [
    "secp521r1",
    "p-521",
    "x448",
    "brainpoolp256r1",
    "brainpoolp384r1",
    "brainpoolp512r1",
    "secp256k1",
    "secp224r1",
];

fn selects(word: &str, suite: &Suite) -> bool {
    let one = |word: &str| {
        suite.name.eq_ignore_ascii_case(word) || EVERY.contains(&word) || suite.words.contains(&word)
    };
    word.split('+').all(one)
}

fn is_known(word: &str) -> bool {
    let one = |word: &str| {
        EVERY.contains(&word)
            || TLS12.iter().any(|suite| suite.name.eq_ignore_ascii_case(word) || suite.words.contains(&word))
            || WORDS_OF_OTHERS.contains(&word)
            || NAMES_OF_OTHERS.iter().any(|name| word.starts_with(name))
    };
    word.split('+').all(one)
}

/// The suites of TLS 1.2 that a cipher string selects, in its order: words and names added, `-` taken away, `!` taken
/// away for good, `+` put to the end, `@…` and words that are not known passed over, as OpenSSL does. Empty: they are
/// suites that rustls does not have. `None`: nothing of it is a word or a name.
pub(crate) fn tls12(text: &str) -> Option<Vec<CipherSuite>> {
    let (mut chosen, mut banned): (Vec<&Suite>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut known = false;
    for token in text.split([':', ',', ' ', ';']).filter(|token| !token.is_empty() && !token.starts_with('@'))
    {
        let (sign, word) = match token.as_bytes()[0] {
            sign @ (b'!' | b'-' | b'+') => (sign, &token[1..]),
            _ => (0, token),
        };
        let word = word.to_ascii_lowercase();
        known |= sign == 0 && is_known(&word);
        let of_word = |suite: &&Suite| selects(&word, suite);
        match sign {
            b'!' => {
                banned.extend(TLS12.iter().filter(of_word).map(|suite| suite.name));
                chosen.retain(|suite| !of_word(suite));
            }
            b'-' => chosen.retain(|suite| !of_word(suite)),
            b'+' => chosen.sort_by_key(|suite| of_word(suite)),
            _ => {
                let mut new: Vec<&Suite> = TLS12.iter().filter(of_word).collect();
                if word == "fast" {
                    // AES with the short key first: what hardware does fastest.
                    new.sort_by_key(|suite| !suite.words.contains(&"aes128"));
                }
                new.retain(|suite| {
                    !banned.contains(&suite.name) && !chosen.iter().any(|known| known.name == suite.name)
                });
                chosen.extend(new);
            }
        }
    }
    known.then(|| chosen.into_iter().map(|suite| suite.suite).collect())
}

/// The suites of TLS 1.3 that a list names, in its order; an empty list names all. `None`: one of them is not known.
pub(crate) fn tls13(text: &str) -> Option<Vec<CipherSuite>> {
    let names: Vec<&str> = text.split([':', ',', ' ']).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Some(TLS13.iter().map(|(_, suite)| *suite).collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        match TLS13.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, suite)) => chosen.push(*suite),
            None if TLS13_MISSING.iter().any(|known| known.eq_ignore_ascii_case(name)) => {}
            None => return None,
        }
    }
    Some(chosen)
}

/// What OpenSSL calls a suite.
pub(crate) fn name(suite: CipherSuite) -> &'static str {
    let new = TLS13.iter().find(|(_, known)| *known == suite).map(|(name, _)| *name);
    let old = || TLS12.iter().find(|known| known.suite == suite).map(|known| known.name);
    new.or_else(old).unwrap_or("unknown")
}

/// What OpenSSL calls a curve.
pub(crate) fn curve_name(group: NamedGroup) -> &'static str {
    match group {
        NamedGroup::X25519 => "X25519",
        NamedGroup::secp256r1 => "prime256v1",
        NamedGroup::secp384r1 => "secp384r1",
        _ => "unknown",
    }
}

/// The curves that a setting allows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Curves {
    /// The provider's own list.
    Auto,
    /// One of them.
    One(NamedGroup),
    /// One that the provider does not have.
    Missing,
}

/// Reads `*_tls_ecdhcurve`; `None`: there is no such curve. `none`, which would leave TLS 1.2 without any key exchange
/// that rustls has, means the provider's own list.
pub(crate) fn curves(text: &str) -> Option<Curves> {
    let text = text.trim().to_ascii_lowercase();
    Some(match text.as_str() {
        "" | "auto" | "none" | "default" => Curves::Auto,
        "x25519" => Curves::One(NamedGroup::X25519),
        "prime256v1" | "secp256r1" | "p-256" => Curves::One(NamedGroup::secp256r1),
        "secp384r1" | "p-384" => Curves::One(NamedGroup::secp384r1),
        other if CURVES_OF_OTHERS.contains(&other) => Curves::Missing,
        _ => return None,
    })
}
