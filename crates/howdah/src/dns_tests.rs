//! Tests of `dns.rs`.

#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::time::Duration;

use howdah_config::Settings;
use howdah_topology::Time;

use super::dns::*;

fn at(seconds: u64) -> Time {
    Time(seconds * 1_000_000)
}

#[test]
fn addresses_take_turns_and_grow_old() {
    let (dns, settings) = (Dns::default(), Settings::default());
    let (a, b): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    assert_eq!(dns.learn("x", vec![a, b], at(100)).unwrap(), a);
    assert_eq!(dns.known("x", &settings, at(101)).unwrap().unwrap(), b);
    assert_eq!(dns.known("x", &settings, at(101)).unwrap().unwrap(), a);
    assert_eq!(dns.hosts(&settings, at(105))[0].left, Duration::from_secs(10));
    assert!(dns.known("x", &settings, at(115)).is_none(), "dns_max_ttl");
    assert!(dns.learn("y", Vec::new(), at(100)).is_err());
    assert!(dns.known("y", &settings, at(114)).unwrap().is_err());
    assert!(dns.known("y", &settings, at(115)).is_none(), "dns_nxdomain_ttl");
    dns.retain(|name| name == "y");
    assert_eq!(dns.hosts(&settings, at(100)).len(), 1);
}

#[tokio::test]
async fn an_address_is_no_name() {
    let (dns, settings) = (Dns::default(), Settings::default());
    let address = dns.address("::1", 5432, &settings, at(1)).await.unwrap();
    assert_eq!(address, "[::1]:5432".parse().unwrap());
    assert!(dns.hosts(&settings, at(1)).is_empty());
}
