//! Maps from names outside to users.

use crate::IdentMaps;

#[test]
fn a_map_allows_what_its_lines_say() {
    let (maps, warnings) = IdentMaps::parse(
        "# remark\nm1 joe bob\nm1 joe ann # remark\n\nm1 \"Jo \"\"E\"\" \" \"all\"\nm2 root all\r\n",
    );
    assert_eq!(warnings, []);
    assert!(maps.contains("m1") && maps.contains("m2") && !maps.contains("m3"));
    assert!(maps.allows("m1", "joe", "bob") && maps.allows("m1", "joe", "ann"));
    assert!(!maps.allows("m1", "joe", "cid") && !maps.allows("m1", "bob", "bob"));
    assert!(maps.allows("m1", "Jo \"E\" ", "all") && !maps.allows("m1", "Jo \"E\" ", "bob"));
    assert!(maps.allows("m2", "root", "anybody") && !maps.allows("m3", "root", "root"));
}

#[test]
fn lines_of_another_shape_are_told() {
    let (maps, warnings) = IdentMaps::parse("m1 joe\nm1 joe bob more\nm1 \"joe bob\nm1 , joe\nm2 a b\n");
    let lines: Vec<u32> = warnings.iter().map(|warning| warning.line).collect();
    assert_eq!(lines, [1, 2, 3, 4]);
    assert!(maps.contains("m2") && !maps.contains("m1"));
}
