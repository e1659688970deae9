//! Connection strings are read and written as libpq does.

use super::conninfo::Conninfo;

#[test]
fn reads_and_writes_quotes() {
    let given = r"host=10.0.3.200 port = 5432 password='it\'s \\ secret' user=''";
    let read = Conninfo::parse(given).unwrap();
    assert_eq!(read.get("password"), Some(r"it's \ secret"));
    assert_eq!(read.get("port"), Some("5432"));
    assert_eq!(read.get("user"), Some(""));
    assert_eq!(Conninfo::parse(&read.text()).unwrap(), read);
}

#[test]
fn the_last_value_counts_and_with_replaces_all() {
    let read = Conninfo::parse("host=a host=b").unwrap();
    assert_eq!(read.get("host"), Some("b"));
    assert_eq!(read.with("host", "c d").text(), "host='c d'");
    assert_eq!(read.place(), "b:5432");
}

#[test]
fn says_what_is_wrong() {
    assert!(Conninfo::parse("host='a").unwrap_err().contains("not closed"));
    assert!(Conninfo::parse("host=a nonsense").unwrap_err().contains("nonsense"));
    assert!(Conninfo::parse("postgresql://a/b").unwrap_err().contains("URI"));
}
