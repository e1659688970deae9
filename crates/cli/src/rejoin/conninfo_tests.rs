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

#[test]
fn several_hosts_are_several_servers() {
    let places = |text: &str| {
        let each = Conninfo::parse(text).unwrap().each();
        each.map(|all| all.iter().map(Conninfo::place).collect::<Vec<_>>())
    };
    assert_eq!(places("host=a,b port=1,2 user=u").unwrap(), ["a:1", "b:2"]);
    assert_eq!(places("host=a,b port=7").unwrap(), ["a:7", "b:7"]);
    assert_eq!(places("host=a,b").unwrap(), ["a:5432", "b:5432"]);
    assert_eq!(places("host=a").unwrap(), ["a:5432"]);
    assert!(places("host=a,b,c port=1,2").is_err());
}

#[test]
fn a_login_moves_to_another_place() {
    let login = Conninfo::parse("user=me host=old port=1 dbname=x").unwrap();
    let moved = login.at(&Conninfo::parse("host=new port=2 user=other").unwrap());
    assert_eq!(moved.text(), "host=new port=2 user=me dbname=x");
}
