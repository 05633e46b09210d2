use super::*;

const LISTS: &str = "/var/lib/apt/lists/";

fn line(kind: &str, component: &str, release: &str, uri: &str) -> String {
    let index = format!("{component}/binary-amd64/Packages");
    let file = format!("{LISTS}mirror.example_debian_dists_{release}_{}", index.replace('/', "_"));
    format!("{kind}\t{component}\t{release}\t{uri}\t{file}\t{index}")
}

fn check(line: &str, release: Option<&str>) {
    assert_eq!(Target::parse(line).map(|target| target.release).as_deref(), release, "{line}");
}

#[test]
fn parts_of_debian_are_recognised() {
    let uri = "http://mirror.example/debian/";
    check(&line("deb", "main", "bookworm", uri), Some("bookworm"));
    check(&line("deb", "main", "bookworm-updates", uri), Some("bookworm-updates"));
    check(&line("deb", "main", "bookworm-security", "mirror+file:/etc/mirrors"), Some("bookworm-security"));
    check(&line("deb", "main", "trixie-security", uri), Some("bookworm-security"));
    check(&line("deb", "main", "stable", uri), Some("bookworm"));
}

#[test]
fn what_is_not_part_of_debian_is_left_out() {
    let uri = "https://packages.example/";
    check(&line("deb", "stable", "bookworm", uri), None);
    check(&line("deb", "main", "bookworm-backports", uri), None);
    check(&line("deb", "main", "nodistro", uri), None);
    check(&line("deb", "main", "cloud-sdk-bookworm", uri), None);
    check(&line("deb-src", "main", "bookworm", uri), None);
    check(&line("deb", "main", "bookworm", "cdrom:[Debian 12]/"), None);
    check(&line("deb", "main", "bookworm", "http://a.example/ bookworm main\ndeb evil"), None);
    check("", None);
    check("deb\tmain\tbookworm", None);
}

#[test]
fn the_signed_index_lies_beside_the_package_index() {
    let target = Target::parse(&line("deb", "main", "bookworm", "http://mirror.example/debian/")).unwrap();
    assert_eq!(target.index_prefix, format!("{LISTS}mirror.example_debian_dists_bookworm_"));
}

#[test]
fn every_source_must_carry_debians_signature_and_is_listed_once() {
    let line = line("deb", "main", "bookworm", "http://mirror.example/debian/");
    let all = line.replace("binary-amd64", "binary-all");
    let targets: BTreeSet<_> = [line, all].iter().filter_map(|line| Target::parse(line)).collect();
    let expected = format!("deb [signed-by={KEYRING}] http://mirror.example/debian/ bookworm main\n");
    assert_eq!(source_lines(&targets), expected);
}

#[test]
fn a_part_the_machine_names_is_required() {
    let updates = Target::parse(&line("deb", "main", "bookworm-updates", "http://mirror.example/debian/")).unwrap();
    assert_eq!(required(&BTreeSet::new()).into_iter().collect::<Vec<_>>(), ["bookworm"]);
    assert_eq!(required(&[updates].into()).into_iter().collect::<Vec<_>>(), ["bookworm", "bookworm-updates"]);
}

#[test]
fn a_file_of_the_operator_is_taken_as_it_is() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "deb http://mirror.example/ bookworm main\n").unwrap();
    let inputs = Inputs::read(file.path()).unwrap();
    assert_eq!(inputs.text(), "deb http://mirror.example/ bookworm main\n");
    fs::write(file.path(), vec![b'#'; 100_000]).unwrap();
    assert!(Inputs::read(file.path()).is_err());
    assert!(Inputs::read(Path::new("/nonexistent")).is_err());
}
