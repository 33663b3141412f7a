//! Secrets on disk: values without a source of their own are kept encrypted, with a key beside
//! them that only we can read. What is copied of the state without the key tells nothing.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nexus_spec::AppSpec;
use orion::hazardous::aead::xchacha20poly1305::{Nonce, SecretKey, XChaCha20Poly1305};
use orion::hazardous::hash::blake2::blake2b::Blake2b;

/// The key's file in the state folder: 32 random bytes.
const FILE: &str = "key";
/// A credential of the service manager's that takes the place of the file.
const CREDENTIAL: &str = "nexus-key";
const KEY_LEN: usize = 32;
/// Random: long enough never to come twice.
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
/// Where random bytes come from.
const RANDOM: &str = "/dev/urandom";

/// Encrypted values by the names of their variables.
pub(crate) type Sealed = BTreeMap<String, String>;

/// The key.
pub(crate) struct Vault {
    key: SecretKey,
}

impl Vault {
    /// Take the service manager's credential, else the key of the state folder; a new one is made
    /// where there is none. One that can be none is moved aside, never overwritten.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(crate) fn open(state: &Path) -> io::Result<Vault> {
        if let Some(bytes) = credential()? {
            return Ok(Vault { key: key_of(&digest(&bytes)?)? });
        }
        let path = state.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) if bytes.len() == KEY_LEN => {
                // It may have been copied back from somewhere that did not keep its mode.
                if std::fs::metadata(&path)?.permissions().mode() & 0o777 != 0o600 {
                    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
                }
                return Ok(Vault { key: key_of(&bytes)? });
            }
            Ok(_) => {
                let aside = state.join(format!("{FILE}.unreadable-{}", crate::clock::unix_ms()));
                std::fs::rename(&path, &aside)?;
                tracing::error!("{} is no key; moved to {}", path.display(), aside.display());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let bytes = random(KEY_LEN)?;
        let new = state.join(format!("{FILE}.new"));
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        File::open(state)?.sync_all()?;
        Ok(Vault { key: key_of(&bytes)? })
    }

    /// Takes the secrets out of an app's variables, encrypted. Those that cannot be encrypted are
    /// left out altogether: better forgotten than told.
    pub(crate) fn take(&self, spec: &AppSpec, env: &mut BTreeMap<String, String>) -> Sealed {
        let mut sealed = Sealed::new();
        let secret = |name: &String, value: &mut String| spec.is_secret(name, value);
        for (name, value) in env.extract_if(.., secret) {
            match self.seal(&label(spec, &name), value.as_bytes()) {
                Ok(text) => drop(sealed.insert(name, text)),
                Err(error) => tracing::error!(app = %spec.name, %name, %error, "cannot be kept"),
            }
        }
        sealed
    }

    /// Puts them back. Returns the names of those that the key does not open.
    pub(crate) fn put_back(
        &self,
        spec: &AppSpec,
        sealed: Sealed,
        env: &mut BTreeMap<String, String>,
    ) -> Vec<String> {
        let mut lost = Vec::new();
        for (name, text) in sealed {
            match self.open_one(&label(spec, &name), &text) {
                Some(value) => drop(env.insert(name, value)),
                None => lost.push(name),
            }
        }
        lost
    }

    /// Nonce, ciphertext and tag, in hexadecimal.
    fn seal(&self, label: &[u8], value: &[u8]) -> io::Result<String> {
        let mut out = random(NONCE_LEN)?;
        let nonce = Nonce::try_from(out.as_slice()).map_err(|_| odd())?;
        let mut closed = vec![0; value.len() + TAG_LEN];
        XChaCha20Poly1305::seal(&self.key, &nonce, value, Some(label), &mut closed)
            .map_err(|_| odd())?;
        out.append(&mut closed);
        Ok(out.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn open_one(&self, label: &[u8], text: &str) -> Option<String> {
        let digits = text.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Vec<u8> = digits.map(byte).collect::<Option<_>>()?;
        let (nonce, closed) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_from(nonce).ok()?;
        let mut value = vec![0; closed.len().checked_sub(TAG_LEN)?];
        XChaCha20Poly1305::open(&self.key, &nonce, closed, Some(label), &mut value).ok()?;
        String::from_utf8(value).ok()
    }
}

/// A value belongs to one variable of one app: it does not open as another's.
fn label(spec: &AppSpec, name: &str) -> Vec<u8> {
    format!("{}\0{name}", spec.name).into_bytes()
}

fn credential() -> io::Result<Option<Vec<u8>>> {
    let Some(folder) = std::env::var_os(crate::sources::CREDENTIALS) else { return Ok(None) };
    match std::fs::read(Path::new(&folder).join(CREDENTIAL)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn digest(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut state = Blake2b::new(KEY_LEN).map_err(|_| odd())?;
    state.update(bytes).map_err(|_| odd())?;
    Ok(state.finalize().map_err(|_| odd())?.as_ref().to_vec())
}

fn key_of(bytes: &[u8]) -> io::Result<SecretKey> {
    SecretKey::try_from(bytes).map_err(|_| odd())
}

fn random(length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    File::open(RANDOM)?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn odd() -> io::Error {
    io::Error::other("the cipher refused")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str) -> AppSpec {
        let name = nexus_spec::Name::new(name).unwrap();
        AppSpec::default_for(name, Path::new("/x"), Path::new("/"))
    }

    fn variables(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_was_taken_is_put_back_with_the_same_key_alone() {
        let state = tempfile::tempdir().unwrap();
        let vault = Vault::open(state.path()).unwrap();
        let all =
            [("API_KEY", "hunter2 é"), ("PORT", "80"), ("R", "redis://:pw@h"), ("T_PASS", "")];
        let all = variables(&all);
        let mut env = all.clone();
        let sealed = vault.take(&spec("api"), &mut env);
        assert_eq!(env, variables(&[("PORT", "80")]));
        assert!(!format!("{sealed:?}").contains("hunter2"));
        assert_ne!(sealed, vault.take(&spec("api"), &mut all.clone()), "a nonce came twice");
        // The daemon that comes after.
        let again = Vault::open(state.path()).unwrap();
        assert!(again.put_back(&spec("api"), sealed.clone(), &mut env).is_empty());
        assert_eq!(env, all);
        let mode = std::fs::metadata(state.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Another app's, another key's, or damaged.
        let lost = ["API_KEY", "R", "T_PASS"];
        assert_eq!(again.put_back(&spec("web"), sealed.clone(), &mut BTreeMap::new()), lost);
        std::fs::remove_file(state.path().join(FILE)).unwrap();
        let other = Vault::open(state.path()).unwrap();
        assert_eq!(other.put_back(&spec("api"), sealed, &mut BTreeMap::new()), lost);
        for text in ["", "0", "zz", "é", &"0".repeat(200)] {
            let sealed = Sealed::from([("A".to_owned(), text.to_owned())]);
            assert_eq!(other.put_back(&spec("api"), sealed, &mut BTreeMap::new()), ["A"], "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_moved_aside() {
        let state = tempfile::tempdir().unwrap();
        std::fs::write(state.path().join(FILE), "short").unwrap();
        Vault::open(state.path()).unwrap();
        assert_eq!(std::fs::read(state.path().join(FILE)).unwrap().len(), KEY_LEN);
        let names = std::fs::read_dir(state.path()).unwrap().flatten();
        let aside =
            names.filter(|entry| entry.file_name().to_string_lossy().contains("unreadable"));
        assert_eq!(aside.count(), 1);
    }
}
