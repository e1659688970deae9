//! The order as it is written on the primary is the order that the supervisor reads.

use crate::stop::StopOrder;

fn order() -> StopOrder {
    StopOrder {
        pooler: "00ff".to_owned(),
        attempt: 7,
        started_at: 1_790_000_000_123_456,
        others: vec![("10.0.3.201".to_owned(), 5432), ("fd00::2".to_owned(), 5433)],
    }
}

#[test]
fn an_order_is_read_as_it_was_written() {
    assert_eq!(order().to_string().parse(), Ok(order()));
    let alone = StopOrder { others: Vec::new(), ..order() };
    assert_eq!(alone.to_string().parse(), Ok(alone));
}

#[test]
fn anything_else_is_no_order() {
    for text in
        ["", "v1", "v2 p 1 2", "v1 p x 2", "v1 p 1 y", "v1 p 1 2 host", "v1 p 1 2 :5432", "v1 p 1 2 h:x"]
    {
        assert!(text.parse::<StopOrder>().is_err(), "{text:?}");
    }
}
