//! What is kept in a file of lines, and what of it survives.

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn load(folder: &Path) -> (Lines, Loaded<u32>) {
    Lines::open(folder, "test").unwrap()
}

#[test]
fn what_was_appended_is_there_again() {
    let folder = folder();
    let (mut lines, _) = load(folder.path());
    lines.append(&1).unwrap();
    lines.append(&2).unwrap();
    assert_eq!(load(folder.path()).1.entries, [1, 2]);
}

#[test]
fn a_torn_last_line_is_dropped_and_the_next_one_is_whole() {
    let folder = folder();
    let (mut lines, _) = load(folder.path());
    lines.append(&1).unwrap();
    lines.file.write_all(b"23").unwrap();
    let (mut lines, loaded) = load(folder.path());
    assert_eq!(loaded.entries, [1]);
    lines.append(&4).unwrap();
    assert_eq!(load(folder.path()).1.entries, [1, 4]);
}

#[test]
fn a_rewrite_replaces_and_keeps_two_older_ones() {
    let folder = folder();
    let (mut lines, _) = load(folder.path());
    for round in 0..5 {
        lines.rewrite([round].iter()).unwrap();
    }
    assert_eq!(numbers(folder.path(), "test").unwrap(), [4, 5, 6]);
    assert_eq!(load(folder.path()).1.entries, [4]);
}

#[test]
fn a_line_that_cannot_be_read_costs_no_other() {
    let folder = folder();
    let (mut lines, _) = load(folder.path());
    (1..=3).for_each(|n| lines.append(&n).unwrap());
    let path = lines.path();
    let text = fs::read_to_string(&path).unwrap().replace("2\n", "\0\n");
    fs::write(&path, text).unwrap();
    let (mut lines, loaded) = load(folder.path());
    assert_eq!((loaded.entries, loaded.aside.len()), (vec![1, 3], 1));
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert!(names.iter().any(|name| name.path().to_string_lossy().contains(".damaged-")));
    lines.append(&4).unwrap();
    let (_, loaded) = load(folder.path());
    assert_eq!((loaded.entries, loaded.aside.len()), (vec![1, 3, 4], 0));
}

#[test]
fn a_long_file_is_rewritten_after_a_start_too() {
    let folder = folder();
    let (mut lines, _) = load(folder.path());
    (0..100).for_each(|n| lines.append(&n).unwrap());
    let (lines, _) = load(folder.path());
    assert!(lines.wants_rewrite(100));
}

#[test]
fn the_end_of_a_file_is_read_without_the_rest() {
    let folder = folder();
    let (mut lines, _) = load(folder.path());
    (100..200).for_each(|n| lines.append(&n).unwrap());
    let (mut lines, loaded) = Lines::open_end::<u32>(folder.path(), "test", 10).unwrap();
    assert_eq!(loaded.entries, [198, 199]);
    lines.append(&200).unwrap();
    assert_eq!(load(folder.path()).1.entries.len(), 101);
}

#[test]
fn an_older_versions_file_is_read_and_left_to_it_and_a_newer_ones_is_moved_aside() {
    let folder = folder();
    let older = FORMAT.replace(&VERSION.to_string(), &OLDEST.to_string()) + "1\n2\n3";
    fs::write(path_of(folder.path(), "test", 1), &older).unwrap();
    for _ in 0..2 {
        assert_eq!(load(folder.path()).1.entries, [1, 2]);
    }
    assert_eq!(numbers(folder.path(), "test").unwrap(), [1], "who only reads changes nothing");
    load(folder.path()).0.append(&4).unwrap();
    let read = |n| fs::read_to_string(path_of(folder.path(), "test", n)).unwrap();
    assert_eq!(read(1), older.trim_end_matches('3'));
    assert_eq!(read(2), format!("{FORMAT}1\n2\n4\n"));
    let newer = FORMAT.replace(&VERSION.to_string(), "99") + "5\n";
    fs::write(path_of(folder.path(), "test", 3), newer).unwrap();
    let (_, loaded) = load(folder.path());
    assert_eq!((loaded.entries, loaded.aside.len()), (vec![1, 2, 4], 1));
}

#[test]
fn the_first_line_says_the_version() {
    assert_eq!(FORMAT, format!("{{\"nexus\":\"lines\",\"version\":{VERSION}}}\n"));
}

#[test]
fn an_unreadable_file_is_moved_aside_and_the_older_one_serves() {
    let folder = folder();
    let (mut lines, _) = load(folder.path());
    lines.rewrite([7].iter()).unwrap();
    fs::write(lines.path(), "garbage\n").unwrap();
    fs::write(path_of(folder.path(), "test", 1), format!("{FORMAT}5\n")).unwrap();
    let (_, loaded) = load(folder.path());
    assert_eq!(loaded.entries, [5]);
    assert_eq!(loaded.aside.len(), 1);
    let kept = fs::read_dir(folder.path())
        .unwrap()
        .any(|entry| entry.unwrap().file_name().to_string_lossy().contains("unreadable"));
    assert!(kept);
}
