//! `offshoot check` and `offshoot repair`: what is wrong is named, and nothing is changed unless that is asked for.

use crate::{
    backup::{dump, load, used_data_dir},
    common::{
        Server, TestResult,
        cli::{Done, names_in, offshoot},
    },
};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

fn check(path: &Path) -> Done {
    offshoot([OsStr::new("check"), path.as_ref()])
}

fn flip(path: &Path, at: usize) -> io::Result<()> {
    let mut bytes = fs::read(path)?;
    bytes[at] ^= 0x10;
    fs::write(path, bytes)
}

/// The first file with a number for a name: a segment of the journal, or a snapshot.
fn numbered_file(directory: &Path) -> PathBuf {
    let name = names_in(directory).into_iter().find(|name| name.len() == 16).expect("there is one");
    directory.join(name)
}

/// All files of a directory with their bytes.
fn content(directory: &Path) -> io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let (mut files, mut open) = (BTreeMap::new(), vec![directory.to_owned()]);
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                fs::read_dir(&path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?,
            );
        } else if path.is_file() {
            files.insert(path.clone(), fs::read(&path)?);
        }
    }
    Ok(files)
}

#[test]
fn what_is_sound_is_sound() -> TestResult {
    let dir = tempfile::tempdir()?;
    let (data, file, new) = (dir.path().join("data"), dir.path().join("backup"), dir.path().join("new"));
    used_data_dir(&data);
    dump(&data, &file).expect(0);
    load(&file, &new).expect(0);
    for path in [&data, &file, &new] {
        let told = check(path).expect(0);
        assert!(told.contains("Nothing is wrong."), "{told}");
    }
    Ok(())
}

#[test]
fn what_a_kill_leaves_is_sound() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let (_, main) = server.client().create_project();
    server.client().create_role(&main, "sally");
    server.kill();
    let told = check(dir.path()).expect(0);
    assert!(told.contains("not cleanly"), "{told}");
    let told = offshoot([OsStr::new("repair"), dir.path().as_ref()]).expect(0);
    assert!(told.contains("Nothing has to be repaired"), "{told}");
    Ok(())
}

#[test]
fn damage_is_found_and_its_part_named() -> TestResult {
    type Damage = fn(&Path) -> io::Result<()>;
    let damages: [(&str, Damage); 3] = [
        ("index", |data| {
            let path = data.join("sled/db");
            let middle = usize::try_from(fs::metadata(&path)?.len()).expect("it fits") / 2;
            flip(&path, middle)
        }),
        ("journal", |data| flip(&numbered_file(&data.join("journal")), 100)),
        ("snapshot", |data| flip(&numbered_file(&data.join("snapshots")), 40)),
    ];
    for (part, damage) in damages {
        let dir = tempfile::tempdir()?;
        used_data_dir(dir.path());
        damage(dir.path())?;
        let told = check(dir.path()).expect(1);
        assert!(told.contains(&format!("FOUND in the {part}: ")), "{part}: {told}");
    }
    Ok(())
}

#[test]
fn a_damaged_dump_is_a_finding_and_what_is_no_dump_cannot_be_checked() -> TestResult {
    let dir = tempfile::tempdir()?;
    let (data, file) = (dir.path().join("data"), dir.path().join("backup"));
    used_data_dir(&data);
    dump(&data, &file).expect(0);
    flip(&file, 200)?;
    let told = check(&file).expect(1);
    assert!(told.contains("the dump is damaged at byte"), "{told}");
    fs::write(&file, "something else")?;
    let told = check(&file).expect(2);
    assert!(told.starts_with("error: cannot check ") && told.contains("is not a dump"), "{told}");
    Ok(())
}

#[test]
fn a_running_server_is_named_and_left_alone() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path());
    let told = check(dir.path()).expect(2);
    assert!(told.contains("is in use by ") && told.contains("or make a dump of it with `offshoot dump`"), "{told}");
    let told = offshoot([OsStr::new("repair"), "--yes".as_ref(), dir.path().as_ref()]).expect(2);
    assert!(told.contains("is in use by ") && told.contains("stop it first"), "{told}");
    server.client().get("/projects");
    Ok(())
}

#[test]
fn a_repair_is_told_and_done_only_when_it_is_told_to() -> TestResult {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let (_, main) = server.client().create_project();
    for number in 0..20 {
        server.client().create_role(&main, &format!("r-{number}"));
    }
    server.kill();
    // Half of the journal is all that is left.
    fs::remove_dir_all(data.join("sled"))?;
    let segment = numbered_file(&data.join("journal"));
    let bytes = fs::read(&segment)?;
    let frames: Vec<_> =
        (0..bytes.len()).step_by(4096).filter(|page| bytes[*page..].starts_with(b"OFFSFRAM")).collect();
    // Behind the header, and before what fills up the frame's page.
    flip(&segment, frames[frames.len() / 2] + 100)?;

    let before = content(&data)?;
    let plan = offshoot([OsStr::new("repair"), data.as_ref()]).expect(1);
    assert!(plan.contains("The store cannot be opened: ") && plan.contains("give up commits "), "{plan}");
    assert!(plan.contains("Nothing was changed.") && plan.contains("--yes"), "{plan}");
    assert!(content(&data)? == before, "something was changed");
    assert!(!crate::common::ServerCommand::new(&data).fail().status.success());

    let told = offshoot([OsStr::new("repair"), "--yes".as_ref(), data.as_ref()]).expect(0);
    assert!(told.contains("It is done"), "{told}");
    let server = Server::start(&data);
    let roles = server.client().role_names(&main);
    assert!(roles.contains(&"r-1".to_owned()) && !roles.contains(&"r-19".to_owned()), "{roles:?}");
    server.terminate();
    check(&data).expect(0);
    let told = offshoot([OsStr::new("repair"), data.as_ref()]).expect(0);
    assert!(told.contains("Nothing has to be repaired"), "{told}");
    Ok(())
}
