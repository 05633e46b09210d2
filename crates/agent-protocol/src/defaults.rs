//! What an image wants its programs to have where a request says nothing: a file in the image, read once by the agent.
//!
//! Records of the form `KEY=VALUE`, each ended by a NUL byte. Keys that are not known are passed over.

/// Where it is in an image. Not below `/.sentinal`, which is mounted over.
pub const DEFAULTS_PATH: &str = "usr/share/sentinal/execution";
/// Most bytes of it that are read.
pub const DEFAULTS_BYTES_MAX: u64 = 128 * 1024;

const USER: &str = "user";
const FOLDER: &str = "folder";
const VARIABLE: &str = "env";

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Defaults {
    /// Who programs run as: a name or a decimal uid; empty is the ordinary user.
    pub user: String,
    /// Where they begin; empty is their user's home.
    pub folder: String,
    /// Name and value of variables.
    pub env: Vec<(String, String)>,
}

impl Defaults {
    /// As it is in the file. Nothing in it may have a NUL byte.
    pub fn encode(&self) -> Vec<u8> {
        let variables = self.env.iter().map(|(name, value)| format!("{VARIABLE}={name}={value}\0"));
        let texts = [(USER, &self.user), (FOLDER, &self.folder)].map(|(key, text)| format!("{key}={text}\0"));
        texts.into_iter().chain(variables).collect::<String>().into_bytes()
    }

    /// From the file's bytes, whatever they are.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut defaults = Self::default();
        for record in bytes.split(|byte| *byte == 0) {
            let record = std::str::from_utf8(record).ok().and_then(|record| record.split_once('='));
            match record {
                Some((USER, user)) => user.clone_into(&mut defaults.user),
                Some((FOLDER, folder)) if folder.starts_with('/') => folder.clone_into(&mut defaults.folder),
                Some((VARIABLE, variable)) => {
                    let variable = variable.split_once('=').filter(|(name, _)| !name.is_empty());
                    defaults.env.extend(variable.map(|(name, value)| (name.to_owned(), value.to_owned())));
                }
                Some(_) | None => {}
            }
        }
        defaults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let defaults = Defaults {
            user: "node".to_owned(),
            folder: "/app".to_owned(),
            env: vec![("PATH".to_owned(), "/x:/y".to_owned()), ("A".to_owned(), "b=c\nd".to_owned())],
        };
        assert_eq!(Defaults::decode(&defaults.encode()), defaults);
        assert_eq!(Defaults::decode(&Defaults::default().encode()), Defaults::default());
    }

    #[test]
    fn what_makes_no_sense_is_passed_over() {
        let decoded = Defaults::decode(b"\0x\0env=\0env==a\0env=A\0folder=app\0\xff=a\0new=1\0env=A=\0user");
        assert_eq!(decoded, Defaults { env: vec![("A".to_owned(), String::new())], ..Defaults::default() });
    }
}
