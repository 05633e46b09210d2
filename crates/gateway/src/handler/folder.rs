//! Folders of a sandbox, and what is in them.

use axum::{Json, extract::State};
use sentinal_api::{FileEntry, FileList, MakeFolder, MoveFile};
use sentinal_auth::{ReadFile, WriteFile};
use sentinal_model::{FileLook, FileMove, FolderList, NewFolder, SandboxId};

use crate::{
    App,
    answer::Reply,
    openapi::Problems,
    request::{Allowed, Asked, Id, Valid},
};

/// Look at a file
///
/// What kind of file it is, how large, whose. Of a symbolic link itself, unless `follow`.
#[utoipa::path(get, operation_id = "statFile", path = "/api/v1/sandbox/{id}/files/stat", tag = "file",
    params(("id" = String, Path, description = "The sandbox's id"),
        ("path" = String, Query, description = "Absolute, or relative to the user's home"),
        ("user" = Option<String>, Query, description = "As whom; the ordinary user (uid 1000) unless told"),
        ("follow" = Option<bool>, Query, description = "Whether to look at what a symbolic link leads to")),
    responses((status = 200, description = "What it is", body = FileEntry), Problems))]
pub(crate) async fn stat(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadFile>,
    Id(id): Id<SandboxId>,
    Asked(look): Asked<FileLook>,
) -> Reply<Json<FileEntry>> {
    let stat = app.controller.stat(&permit, id, &look).await?;
    Ok(Json(FileEntry::new(&look.at.path, stat)))
}

/// List a folder
///
/// What is in it, sorted part by part of the path, each by its bytes; what is in its folders follows each, as far as
/// `depth` goes. No symbolic link below it is followed.
#[utoipa::path(get, operation_id = "listFolder", path = "/api/v1/sandbox/{id}/files/list", tag = "file",
    params(("id" = String, Path, description = "The sandbox's id"),
        ("path" = String, Query, description = "Absolute, or relative to the user's home"),
        ("user" = Option<String>, Query, description = "As whom; the ordinary user (uid 1000) unless told"),
        ("depth" = Option<u32>, Query, description = "How many folders within each other, 1 to 32; 1 unless told"),
        ("limit" = Option<u32>, Query, description = "At most so many entries, 1 to 20000; 20000 unless told"),
        ("cursor" = Option<String>, Query, description = "What `next` of the answer before said")),
    responses((status = 200, description = "What is in it", body = FileList), Problems))]
pub(crate) async fn list(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadFile>,
    Id(id): Id<SandboxId>,
    Asked(list): Asked<FolderList>,
) -> Reply<Json<FileList>> {
    let page = app.controller.list_folder(&permit, id, &list).await?;
    Ok(Json(FileList::new(&list.at.path, page)))
}

/// Make a folder
///
/// `conflict` if something has that path already; with `parents` a folder may.
#[utoipa::path(post, operation_id = "makeFolder", path = "/api/v1/sandbox/{id}/files/mkdir", tag = "file",
    params(("id" = String, Path, description = "The sandbox's id")), request_body = MakeFolder,
    responses((status = 200, description = "It is there", body = FileEntry), Problems))]
pub(crate) async fn make(
    State(app): State<App>,
    Allowed(permit): Allowed<WriteFile>,
    Id(id): Id<SandboxId>,
    Valid(body): Valid<MakeFolder>,
) -> Reply<Json<FileEntry>> {
    let folder = NewFolder::try_from(body)?;
    let stat = app.controller.make_folder(&permit, id, &folder).await?;
    Ok(Json(FileEntry::new(&folder.at.path, stat)))
}

/// Move a file or folder
///
/// To another path in the same file system; a symbolic link is moved itself. `conflict` if something has that path
/// already, unless `overwrite`.
#[utoipa::path(post, operation_id = "moveFile", path = "/api/v1/sandbox/{id}/files/move", tag = "file",
    params(("id" = String, Path, description = "The sandbox's id")), request_body = MoveFile,
    responses((status = 200, description = "It is there", body = FileEntry), Problems))]
pub(crate) async fn rename(
    State(app): State<App>,
    Allowed(permit): Allowed<WriteFile>,
    Id(id): Id<SandboxId>,
    Valid(body): Valid<MoveFile>,
) -> Reply<Json<FileEntry>> {
    let change = FileMove::try_from(body)?;
    let stat = app.controller.move_file(&permit, id, &change).await?;
    Ok(Json(FileEntry::new(&change.to, stat)))
}
