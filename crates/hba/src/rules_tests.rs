//! Which line decides.

use std::net::IpAddr;

use crate::{Asked, Login, Method, Rules, Transport, parse};

fn rules(text: &str) -> Rules {
    let mut bring = |file: &str| match file {
        "names" => Ok("ann, \"b b\"\nall2 # remark\n\n cid".to_owned()),
        other => Err(other.to_owned()),
    };
    let (rules, warnings) = parse(text, &mut bring);
    assert_eq!(warnings, [], "{text}");
    rules
}

fn plain(address: &str) -> Transport {
    Transport::Plain(address.parse().unwrap())
}

/// The line that decides.
fn line(rules: &Rules, transport: Transport, database: &str, user: &str) -> Option<u32> {
    let login = Login { transport, asked: Asked::Database(database), user };
    rules.decide(&login).map(|rule| rule.line)
}

#[test]
fn the_first_line_that_matches_decides_and_none_rejects() {
    let rules = rules(
        "local all all peer\nhost db1 ann 10.0.0.0/8 trust\nhost db1 all 10.0.0.0/8 reject\nhost all all ::/0 md5\n",
    );
    assert_eq!(line(&rules, Transport::Local, "x", "y"), Some(1));
    assert_eq!(line(&rules, plain("10.1.2.3"), "db1", "ann"), Some(2));
    assert_eq!(line(&rules, plain("10.1.2.3"), "db1", "bob"), Some(3));
    assert_eq!(line(&rules, plain("10.1.2.3"), "db2", "ann"), None);
    assert_eq!(line(&rules, plain("fe80::1"), "db2", "ann"), Some(4));
    assert_eq!(line(&rules, plain("11.0.0.0"), "db1", "ann"), None);
    assert_eq!(rules.iter().nth(2).unwrap().method, Method::Reject);
    // A socket for both kinds shows an address of IPv4 in this form.
    assert_eq!(line(&rules, plain("::ffff:10.1.2.3"), "db1", "ann"), Some(2));
}

#[test]
fn transports() {
    let rules = rules(
        "hostssl ssl all all md5\nhostnossl plain all all md5\nhost both all all md5\nlocal loc all md5\n",
    );
    let tls = Transport::Tls("1.2.3.4".parse().unwrap());
    for (database, on_plain, on_tls, on_local) in [
        ("ssl", None, Some(1), None),
        ("plain", Some(2), None, None),
        ("both", Some(3), Some(3), None),
        ("loc", None, None, Some(4)),
    ] {
        let found = [plain("1.2.3.4"), tls, Transport::Local].map(|way| line(&rules, way, database, "u"));
        assert_eq!(found, [on_plain, on_tls, on_local], "{database}");
    }
}

#[test]
fn names_keywords_and_files() {
    let rules = rules(
        "host sameuser all all trust\nhost \"all\" all all trust\nhost @names @names all trust\n\
         host a,b , c,d,e,f,g,h,i,j,k,l \"q\"\"q\" , all3 all trust\n",
    );
    let at = |database: &str, user: &str| line(&rules, plain("1.1.1.1"), database, user);
    assert_eq!(at("ann", "ann"), Some(1));
    assert_eq!(at("all", "x"), Some(2), "a quoted keyword is a name");
    assert_eq!(at("other", "x"), None);
    for name in ["ann", "b b", "all2", "cid"] {
        assert!(at(name, "b b").is_some(), "{name}");
    }
    assert_eq!(at("ann", "bob"), None);
    for name in "a b c d e f g h i j k l".split(' ') {
        assert_eq!(at(name, "q\"q"), Some(4), "{name}");
        assert_eq!(at(name, "all3"), Some(4), "{name}");
    }
    assert_eq!(at("m", "all3"), None);
}

#[test]
fn replication_is_a_word_of_its_own() {
    let rules = rules("host all all all trust\nhost replication ann all md5\n");
    let asked = |user| {
        let login = Login { transport: plain("1.1.1.1"), asked: Asked::Replication, user };
        rules.decide(&login).map(|rule| rule.line)
    };
    assert_eq!(asked("ann"), Some(2), "all does not mean it");
    assert_eq!(asked("bob"), None);
    // And a database of that name is not meant by the word.
    let only = self::rules("host replication all all trust\nhost \"replication\" all all md5\n");
    assert_eq!(line(&only, plain("1.1.1.1"), "replication", "ann"), Some(2));
}

#[test]
fn masks_of_every_width() {
    for (address, bits) in [("170.85.170.85", 32_u32), ("aa55:aa55:aa55:aa55:aa55:aa55:aa55:aa55", 128)] {
        let client: IpAddr = address.parse().unwrap();
        for width in 0..=bits {
            let flipped = |bit: u32| -> IpAddr {
                match client {
                    IpAddr::V4(v4) => std::net::Ipv4Addr::from(u32::from(v4) ^ (1 << (31 - bit))).into(),
                    IpAddr::V6(v6) => std::net::Ipv6Addr::from(u128::from(v6) ^ (1 << (127 - bit))).into(),
                }
            };
            let network: IpAddr = match client {
                IpAddr::V4(v4) => {
                    let mask = u32::MAX.checked_shl(32 - width).unwrap_or(0);
                    std::net::Ipv4Addr::from(u32::from(v4) & mask).into()
                }
                IpAddr::V6(v6) => {
                    let mask = u128::MAX.checked_shl(128 - width).unwrap_or(0);
                    std::net::Ipv6Addr::from(u128::from(v6) & mask).into()
                }
            };
            let rules = rules(&format!("host all all {network}/{width} trust"));
            assert!(line(&rules, Transport::Plain(client), "d", "u").is_some(), "{network}/{width}");
            if width > 0 {
                let outside = Transport::Plain(flipped(width - 1));
                assert_eq!(line(&rules, outside, "d", "u"), None, "{network}/{width}");
            }
            if width < bits {
                let inside = Transport::Plain(flipped(width));
                assert!(line(&rules, inside, "d", "u").is_some(), "{network}/{width}");
            }
        }
    }
}
