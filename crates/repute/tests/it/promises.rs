//! Every test that SECURITY.md names for a promise is there.

use std::path::Path;

#[test]
fn every_test_that_shows_a_promise_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let mut points = Vec::new();
    for row in page.lines().filter(|line| line.contains(".rs::")) {
        let mut cells = row.split('|').skip(1);
        points.push(cells.next().unwrap().trim().parse::<u32>().unwrap());
        for named in row.split('`').filter(|text| text.contains(".rs::")) {
            let (file, test) = named.split_once("::").unwrap();
            let code = std::fs::read_to_string(root.join(file)).unwrap_or_else(|_| panic!("{file}"));
            let function = format!("fn {test}(");
            let at = code.find(&function).unwrap_or_else(|| panic!("{named}"));
            // It is one that is run: its attribute stands above it.
            let above = code[..at].trim_end().rsplit("\n\n").next().unwrap();
            assert!(
                above.contains("#[test]") || above.contains("proptest!"),
                "{named}"
            );
        }
    }
    points.dedup();
    assert_eq!(points, (1..=13).collect::<Vec<_>>(), "each point has its rows");
}
