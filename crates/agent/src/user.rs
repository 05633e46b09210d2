//! Who a program runs as, and whose rights a file is touched with.

mod accounts;
mod names;

use std::sync::Mutex;

use tonic::Status;

use self::accounts::Accounts;
pub(crate) use self::names::Names;

/// uid and gid of the sandbox's ordinary user.
pub(crate) const ORDINARY_ID: u32 = 1000;
/// The ordinary user's home where `/etc/passwd` names none.
pub(crate) const HOME: &str = "/home/user";
const ORDINARY_NAME: &str = "user";
/// `(uid_t)-1`: to the kernel it means "leave as it is", that is, root.
const NO_ID: u32 = u32::MAX;

/// Someone that exists in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) home: String,
    pub(crate) identity: Identity,
}

/// What the kernel knows of someone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

/// Looks users up, and keeps what it read as long as the files stay as they are.
pub(crate) struct Users {
    accounts: Mutex<Accounts>,
    /// What the agent itself is; unless root it can become nobody else.
    own_uid: u32,
    /// Whom the image names for programs that ask for nobody; empty is the ordinary user.
    default: String,
}

impl Users {
    pub(crate) fn new(default: String) -> Self {
        Self { accounts: Mutex::new(Accounts::default()), own_uid: rustix::process::geteuid().as_raw(), default }
    }

    /// Empty: whom the image names, or the ordinary user. Otherwise a name or a decimal uid.
    pub(crate) fn find(&self, name: &str) -> Result<User, Status> {
        let mut accounts = self.accounts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        accounts.refresh();
        let by_image = (name.is_empty() && !self.default.is_empty() && self.own_uid == 0).then_some(&*self.default);
        let found = |wanted| match wanted {
            Wanted::Id(uid) => Ok(accounts.by_id(uid).unwrap_or_else(|| without_account(uid))),
            Wanted::Name(name) => accounts.by_name(name).ok_or_else(|| unknown(name)),
        };
        // Whom the image names may have been removed since; then it is as if it had named nobody.
        let user = match by_image.map(|name| found(self.wanted(name))) {
            Some(Ok(user)) => user,
            Some(Err(_)) | None => found(self.wanted(name))?,
        };
        if user.identity.uid == NO_ID || user.identity.gid == NO_ID {
            return Err(unknown(name));
        }
        if self.own_uid != 0 && user.identity.uid != self.own_uid {
            return Err(Status::permission_denied(format!(
                "the agent does not run as root here and cannot act as uid {}",
                user.identity.uid
            )));
        }
        Ok(user)
    }

    /// Who has which id at this moment.
    pub(crate) fn names(&self) -> Names {
        let mut accounts = self.accounts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        accounts.refresh();
        accounts.names()
    }

    fn wanted<'a>(&self, name: &'a str) -> Wanted<'a> {
        if name.is_empty() {
            return Wanted::Id(if self.own_uid == 0 { ORDINARY_ID } else { self.own_uid });
        }
        let is_decimal = name.bytes().all(|digit| digit.is_ascii_digit());
        match name.parse() {
            Ok(uid) if is_decimal => Wanted::Id(uid),
            _ => Wanted::Name(name),
        }
    }
}

enum Wanted<'a> {
    Id(u32),
    Name(&'a str),
}

fn without_account(uid: u32) -> User {
    let (name, home) = match uid {
        0 => ("root".to_owned(), "/root".to_owned()),
        ORDINARY_ID => (ORDINARY_NAME.to_owned(), HOME.to_owned()),
        _ => (uid.to_string(), "/".to_owned()),
    };
    User { name, home, identity: Identity { uid, gid: uid, groups: vec![uid] } }
}

fn unknown(name: &str) -> Status {
    let name: String = name.chars().take(64).collect();
    Status::invalid_argument(format!("there is no user {name:?} in the sandbox"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        Users { accounts: Mutex::new(Accounts::default()), own_uid: 0, default: String::new() }
    }

    #[test]
    fn whom_the_image_names_is_who_asks_for_nobody() {
        let by_image = |name: &str| Users { default: name.to_owned(), ..users() }.find("").unwrap().identity.uid;
        assert_eq!((by_image("4321"), by_image("0"), by_image("")), (4321, 0, ORDINARY_ID));
        assert_eq!(by_image("nobody-of-this-name"), ORDINARY_ID);
        let named = Users { default: "4321".to_owned(), ..users() };
        assert_eq!(named.find("5").unwrap().identity.uid, 5);
    }

    #[test]
    fn a_uid_needs_no_account() {
        let user = users().find("54321").unwrap();
        assert_eq!(user.identity, Identity { uid: 54321, gid: 54321, groups: vec![54321] });
    }

    #[test]
    fn the_uid_that_means_no_change_is_nobody() {
        assert!(users().find("4294967295").is_err());
        assert!(users().find("4294967296").is_err());
        assert!(users().find("-1").is_err());
        assert!(users().find("+1").is_err());
    }

    #[test]
    fn an_agent_that_is_not_root_becomes_nobody_else() {
        let users = Users { own_uid: 54321, ..users() };
        assert_eq!(users.find("").unwrap().identity.uid, 54321);
        assert_eq!(users.find("0").unwrap_err().code(), tonic::Code::PermissionDenied);
    }
}
