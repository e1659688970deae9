//! The example program's lines are understood.

use super::program::Seen;

#[test]
fn lines_are_taken_in() {
    let mut seen = Seen::default();
    let text = "Create Data :\n{2 Test}\nIP DB Master: 10.0.3.200\nRead Data :\n{2 Test}\nIP DB Slave : 10.0.3.201\n\
                Session from port 4711: 2 rows acknowledged, 1 there\nIP DB Master: 10.0.3.200\n\
                IP DB Master: 10.0.3.202";
    text.lines().for_each(|line| seen.take(line));
    assert_eq!(seen.written_at, ["10.0.3.200", "10.0.3.202"]);
    assert_eq!(seen.read_from.into_iter().collect::<Vec<_>>(), ["10.0.3.201"]);
    assert_eq!(seen.sessions.into_iter().collect::<Vec<_>>(), ["from port 4711"]);
    assert_eq!((seen.acknowledged, seen.there), (2, 1));
}
