//! `docs/adding-a-connector.md` quotes the code of this folder as it is.

use std::path::Path;

#[test]
fn the_guide_quotes_code_that_compiles() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = here.join("../../docs/adding-a-connector.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let mut quoted = 0;
    for block in guide.split("<!-- quoted from ").skip(1) {
        let (path, rest) = block.split_once(" -->\n").unwrap();
        let (_, rest) = rest.split_once('\n').expect("a block of code follows");
        let (code, _) = rest.split_once("\n```").expect("the block ends");
        let file = std::fs::read_to_string(here.join("../..").join(path)).unwrap();
        assert!(file.contains(code), "the quote from {path} is not what stands there:\n{code}");
        quoted += 1;
    }
    assert!(quoted >= 5, "only {quoted} quotes were found");
}
