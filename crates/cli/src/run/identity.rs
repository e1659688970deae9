//! The user that the process runs as (`user`, `-u`). Called before there is a second thread: the kernel keeps these for
//! each thread, and every later one has those of the first.

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// Becomes `name`, with its groups. Nothing is done for whoever is that user already.
///
/// # Errors
/// PgBouncer's sentences: there is no such user, or we may not become it.
pub(crate) fn assume(name: &str) -> Result<(), String> {
    let user = uzers::get_user_by_name(name);
    let user = user.ok_or_else(|| format!("could not find user '{name}' to switch to"))?;
    let (uid, gid) = (Uid::from_raw(user.uid()), Gid::from_raw(user.primary_group_id()));
    if rustix::process::getuid() == uid && rustix::process::geteuid() == uid {
        return Ok(());
    }
    let groups = uzers::get_user_groups(name, user.primary_group_id()).unwrap_or_default();
    let groups: Vec<Gid> = groups.iter().map(|group| Gid::from_raw(group.gid())).collect();
    let assumed = set_thread_groups(&groups)
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, uid));
    assumed.map_err(|error| format!("failed to assume identity of user '{name}': {}", words(error)))
}

/// The system's words for an error, without its number.
pub(super) fn words(error: rustix::io::Errno) -> String {
    let text = std::io::Error::from(error).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
