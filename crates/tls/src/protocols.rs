//! `*_tls_protocols`: versions in the words of PgBouncer's TLS library. Old versions are accepted as words, and
//! are not spoken (PGBOUNCER_BEHAVIOUR.md sections 12 and 16.9).

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

/// TLS 1.0 to 1.3 as bits.
const V1_0: u8 = 1;
const V1_1: u8 = 2;
const V1_2: u8 = 4;
const V1_3: u8 = 8;
const ALL: u8 = V1_0 | V1_1 | V1_2 | V1_3;

fn word(word: &str) -> Option<u8> {
    Some(match word.to_ascii_lowercase().as_str() {
        "all" | "legacy" | "tlsv1" => ALL,
        "default" | "secure" => V1_2 | V1_3,
        "tlsv1.0" => V1_0,
        "tlsv1.1" => V1_1,
        "tlsv1.2" => V1_2,
        "tlsv1.3" => V1_3,
        _ => return None,
    })
}

/// The versions that a list of words means, and whether none of them can be spoken, so that TLS 1.2 stands in;
/// `None`: not such a list.
pub(crate) fn parse(text: &str) -> Option<(Vec<&'static SupportedProtocolVersion>, bool)> {
    let mut chosen = 0;
    for token in text.split([',', ':', ' ']).filter(|token| !token.is_empty()) {
        match token.strip_prefix('!').or_else(|| token.strip_prefix('-')) {
            Some(not) => {
                if chosen == 0 {
                    chosen = ALL;
                }
                chosen &= !word(not)?;
            }
            None => chosen |= word(token)?,
        }
    }
    let old_only = chosen != 0 && chosen & (V1_2 | V1_3) == 0;
    let mut versions: Vec<&'static SupportedProtocolVersion> = Vec::new();
    if chosen & V1_3 != 0 {
        versions.push(&TLS13);
    }
    if chosen & V1_2 != 0 || old_only {
        versions.push(&TLS12);
    }
    (!versions.is_empty()).then_some((versions, old_only))
}
