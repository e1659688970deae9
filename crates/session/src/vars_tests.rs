//! The values of the tracked parameters, by themselves. What they are for: `session.rs`, `Session::link`.

use super::vars::{Tracked, Vars};

fn sql(client: &Vars, server: &Vars, tracked: &Tracked) -> String {
    let mut out = Vec::new();
    client.differences(server, tracked, &mut out);
    String::from_utf8(out).expect("ascii")
}

#[test]
fn names_are_compared_without_case_and_once() {
    let tracked = Tracked::new(["IntervalStyle", "datestyle", ""]);
    assert_eq!(tracked.names().count(), 6);
    assert_eq!(tracked.position(b"intervalstyle"), Some(5));
    assert_eq!(tracked.position(b"search_path"), None);
}

#[test]
fn only_differences_are_set_and_quoted() {
    let tracked = Tracked::new([]);
    let (mut client, mut server) = (Vars::default(), Vars::default());
    client.set(1, b"ISO, MDY");
    client.set(2, b"Europe/O'Neil");
    client.set(4, b"a\\b");
    server.set(1, b"ISO, MDY");
    server.set(0, b"UTF8");
    assert_eq!(
        sql(&client, &server, &tracked),
        "SET TimeZone='Europe/O''Neil';SET application_name=E'a\\\\b';"
    );
    assert_eq!(sql(&client, &client, &tracked), "");
}

#[test]
fn what_the_client_did_not_say_comes_from_the_server() {
    let (mut client, mut server) = (Vars::default(), Vars::default());
    client.set(2, b"GMT");
    server.set(0, b"UTF8");
    server.set(2, b"UTC");
    client.fill_from(&server);
    assert_eq!(client.get(0), Some(&b"UTF8"[..]));
    assert_eq!(client.get(2), Some(&b"GMT"[..]));
    assert_eq!(client.get(4), None);
    assert!(!client.set(2, b"GMT"));
}
