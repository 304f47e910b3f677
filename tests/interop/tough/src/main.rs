//! Reads a TUF repository with tough and prints what it lists, one image a line: `reads ROOT METADATA TARGETS [NAME]`.
//! With NAME the image itself follows, read and checked by tough.

use futures::TryStreamExt;
use tough::{RepositoryLoader, TargetName};
use url::Url;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let root = std::fs::read(&arguments[1])?;
    let (metadata, targets) = (Url::parse(&arguments[2])?, Url::parse(&arguments[3])?);
    let repository = RepositoryLoader::new(&root, metadata, targets).load().await?;
    for (name, target) in repository.all_targets() {
        println!("{} {}", name.raw(), target.length);
    }
    if let Some(name) = arguments.get(4) {
        let stream = repository.read_target(&TargetName::new(name.as_str())?).await?.ok_or("not listed")?;
        let parts: Vec<_> = stream.try_collect().await?;
        print!("{}", String::from_utf8(parts.concat())?);
    }
    Ok(())
}
