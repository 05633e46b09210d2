//! What happens, page after page, as it happens.

use futures::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use sentinal_model::{Error, Result};
use tokio::sync::watch;

/// Everything from a place on, one after the other: `read` answers a page and the place behind it. After an empty one it is
/// asked again when there is news.
pub(crate) fn pages<Place, Item, Page>(
    from: Place,
    news: watch::Receiver<()>,
    read: impl Fn(Place) -> Page + Send + 'static,
) -> BoxStream<'static, Result<Item>>
where
    Place: Clone + Send + 'static,
    Item: Send + 'static,
    Page: Future<Output = Result<(Vec<Item>, Place)>> + Send + 'static,
{
    let pages = stream::try_unfold((from, news, read), |(place, mut news, read)| async move {
        loop {
            let (items, behind) = read(place.clone()).await?;
            if !items.is_empty() {
                return Ok::<_, Error>(Some((stream::iter(items.into_iter().map(Ok)), (behind, news, read))));
            }
            if news.changed().await.is_err() {
                return Ok(None);
            }
        }
    });
    pages.try_flatten().boxed()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_comes_later_is_waited_for_and_an_error_is_the_last() {
        let (news, told) = watch::channel(());
        let there = Arc::new(Mutex::new(vec![1, 2]));
        let known = Arc::clone(&there);
        let mut pages = pages(0, told, move |place: usize| {
            let items: Vec<i32> = known.lock().unwrap().iter().skip(place).copied().collect();
            let behind = place + items.len();
            async move { if behind < 4 { Ok((items, behind)) } else { Err(Error::invalid("too many")) } }
        });
        assert_eq!(pages.next().await.unwrap().unwrap(), 1);
        assert_eq!(pages.next().await.unwrap().unwrap(), 2);
        assert!(timeout(Duration::from_millis(20), pages.next()).await.is_err(), "there is no more yet");
        there.lock().unwrap().push(3);
        news.send_replace(());
        assert_eq!(pages.next().await.unwrap().unwrap(), 3);
        there.lock().unwrap().push(4);
        news.send_replace(());
        assert!(pages.next().await.unwrap().is_err());
        assert!(pages.next().await.is_none());
    }
}
