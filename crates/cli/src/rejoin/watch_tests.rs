//! Which orders a supervisor carries out.

use super::watch::{Looked, Orders, Role, listens};

const PRIMARY: Role = Role::Primary { system: 7, timeline: 1 };

fn looked(order: &str, role: Role) -> Looked {
    Looked { started_at: 50, order: order.to_owned(), role }
}

#[test]
fn an_order_that_comes_is_carried_out_once() {
    let mut orders = Orders::default();
    assert_eq!(orders.read(&looked("", PRIMARY)), Ok(None));
    let order = orders.read(&looked("v1 p 3 50 host:5432", PRIMARY)).unwrap().unwrap();
    assert_eq!((order.attempt, order.others.len()), (3, 1));
    assert_eq!(orders.read(&looked("v1 p 3 50 host:5432", PRIMARY)), Ok(None));
}

#[test]
fn an_order_that_was_there_before_is_ignored() {
    let mut orders = Orders::default();
    assert_eq!(orders.read(&looked("v1 p 3 50 host:5432", PRIMARY)), Ok(None));
    assert_eq!(orders.read(&looked("", PRIMARY)), Ok(None));
    assert!(orders.read(&looked("v1 p 4 50 host:5432", PRIMARY)).unwrap().is_some());
}

#[test]
fn an_order_for_another_start_or_role_or_in_another_form_is_told_of_and_ignored() {
    for (text, role) in
        [("v1 p 3 49 host:5432", PRIMARY), ("v1 p 3 50 host:5432", Role::Standby), ("v9 what", PRIMARY)]
    {
        let mut orders = Orders::default();
        assert_eq!(orders.read(&looked("", role)), Ok(None));
        assert!(orders.read(&looked(text, role)).is_err(), "{text}");
    }
}

#[test]
fn the_server_is_found_by_its_pid_file() {
    let file = |socket: &str, address: &str| {
        format!("7\n/data\n1790000000\n5433\n{socket}\n{address}\n  1 2\nready\n")
    };
    let at = |host: &str| Some((host.to_owned(), "5433".to_owned()));
    assert_eq!(listens(&file("/run/postgresql", "*")), at("/run/postgresql"));
    assert_eq!(listens(&file("", "*")), at("127.0.0.1"));
    assert_eq!(listens(&file("", "127.0.0.200")), at("127.0.0.200"));
    assert_eq!(listens(&file("", "")), None);
    assert_eq!(listens("7\n/data\n"), None);
}
