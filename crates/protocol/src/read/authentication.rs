//! The reader of the server's authentication messages, which share one tag.

use super::{ReadError, cursor::Cursor};

/// What a server asks for, or that it is content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// The login is done.
    Ok,
    /// The password as it is.
    CleartextPassword,
    /// The password as an MD5 with this salt.
    Md5 {
        /// Salt of the outer hash.
        salt: [u8; 4],
    },
    /// One of these SASL mechanisms.
    Sasl(Mechanisms<'a>),
    /// The SASL exchange goes on with this message.
    SaslContinue(&'a [u8]),
    /// The SASL exchange's last message.
    SaslFinal(&'a [u8]),
    /// A method that we do not speak: Kerberos, GSSAPI, SSPI, SCM credentials, or one not known.
    Unsupported(u32),
}

/// SASL mechanisms in the server's order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mechanisms<'a> {
    /// Checked by [`authentication`]; NUL-terminated names without the empty one that ends the list.
    left: &'a [u8],
}

impl<'a> Iterator for Mechanisms<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(0, self.left)?;
        let name = &self.left[..end];
        self.left = &self.left[end + 1..];
        Some(name)
    }
}

/// Reads an authentication message.
///
/// # Errors
/// The body is not exactly what its code says, or the list of mechanisms does not end.
pub fn authentication(body: &[u8]) -> Result<Authentication<'_>, ReadError> {
    let mut cursor = Cursor::new("Authentication", body);
    let read = match cursor.u32("code")? {
        0 => Authentication::Ok,
        3 => Authentication::CleartextPassword,
        5 => Authentication::Md5 { salt: cursor.u32("salt")?.to_be_bytes() },
        10 => Authentication::Sasl(mechanisms(&mut cursor)?),
        11 => Authentication::SaslContinue(cursor.rest()),
        12 => Authentication::SaslFinal(cursor.rest()),
        code => return Ok(Authentication::Unsupported(code)),
    };
    cursor.end()?;
    Ok(read)
}

fn mechanisms<'a>(cursor: &mut Cursor<'a>) -> Result<Mechanisms<'a>, ReadError> {
    let list = cursor.rest();
    let mut walk = Cursor::new("Authentication", list);
    let mut len = 0;
    loop {
        match walk.text("list of mechanisms")? {
            [] => break,
            name => len += name.len() + 1,
        }
    }
    walk.end()?;
    Ok(Mechanisms { left: &list[..len] })
}
