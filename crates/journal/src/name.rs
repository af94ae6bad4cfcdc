//! The names of segment files: `<number>-<generation>.seg`, both in decimal, padded so that they sort.

use std::path::{Path, PathBuf};

/// Ends the name of a file that is not complete yet. No crash can leave anything acknowledged under it.
pub(crate) const TEMPORARY: &str = ".tmp";

/// The file of a segment's generation.
pub(crate) fn segment_path(dir: &Path, number: u64, generation: u32) -> PathBuf {
    dir.join(file_name(number, generation))
}

/// Number and generation, if this is exactly a name that [`segment_path`] gives; a copy made by hand is not.
pub(crate) fn parse(name: &str) -> Option<(u64, u32)> {
    let (number, generation) = name.strip_suffix(".seg")?.split_once('-')?;
    let (number, generation) = (number.parse().ok()?, generation.parse().ok()?);
    (file_name(number, generation) == name).then_some((number, generation))
}

/// The generation in the name of a segment's file, 0 in any other.
pub(crate) fn generation_of(path: &Path) -> u32 {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(parse).map_or(0, |(_, generation)| generation)
}

fn file_name(number: u64, generation: u32) -> String {
    format!("{number:010}-{generation:03}.seg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_nothing_else_is_taken_for_one() {
        assert_eq!(file_name(7, 0), "0000000007-000.seg");
        for (number, generation) in [(1, 0), (10_000_000_000, 1000), (u64::MAX, u32::MAX)] {
            assert_eq!(parse(&file_name(number, generation)), Some((number, generation)));
        }
        for other in [
            "1-0.seg",
            "0000000001-000.idx",
            "0000000001-000.seg.tmp",
            "registry-0",
            "0000000001-000 2.seg",
            "",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
