//! A bundle's tar, taken apart to its last byte: every header is the one that its file has, every padding is zeros, and nothing
//! stands behind the end. So nothing is in the file that nobody looks at. Not here: what the files say.

use super::verify::BundleError;
use super::{SUMS, header};
use sha2::{Digest as _, Sha256};
use std::io::{ErrorKind, Read};

const BLOCK: usize = 512;

/// The files of a bundle, in their order.
pub(super) struct Files<'a> {
    from: &'a mut dyn Read,
    sums: String,
}

impl<'a> Files<'a> {
    pub(super) fn of(from: &'a mut dyn Read) -> Self {
        Self { from, sums: String::new() }
    }

    /// The next file, which must have this name and at most so many bytes.
    pub(super) fn next(&mut self, name: &str, bytes_max: usize) -> Result<Vec<u8>, BundleError> {
        let block = self.block(name)?;
        let damaged = |what: &str| BundleError::Tar { file: name.to_owned(), what: what.to_owned() };
        let read = tar::Header::from_byte_slice(&block);
        let path = read.path_bytes();
        let found = String::from_utf8_lossy(&path).into_owned();
        if found != name {
            // what is no header at all is not a file of another name
            let is_file = read.entry_size().ok().and_then(|size| header(&found, size));
            return Err(match is_file.filter(|expected| expected.as_bytes() == &block) {
                Some(_) => BundleError::OtherFile { expected: name.to_owned(), found },
                None if block == [0; BLOCK] => BundleError::Missing(name.to_owned()),
                None => damaged("its header is damaged"),
            });
        }
        let size = read.entry_size().map_err(|_| damaged("its header has no size"))?;
        let expected = header(name, size).filter(|expected| expected.as_bytes() == &block);
        expected.ok_or_else(|| damaged("its header is not the one that a bundle has"))?;
        let length = usize::try_from(size).ok().filter(|length| *length <= bytes_max);
        let length =
            length.ok_or_else(|| damaged(&format!("it has {size} bytes, and at most {bytes_max} are read")))?;
        let mut bytes = vec![0; length.next_multiple_of(BLOCK)];
        self.from.read_exact(&mut bytes).map_err(|error| cut_off(name, &error))?;
        if bytes.iter().skip(length).any(|byte| *byte != 0) {
            return Err(damaged("something stands behind its end"));
        }
        bytes.truncate(length);
        if name != SUMS {
            self.sums += &format!("{}  {name}\n", hex::encode(Sha256::digest(&bytes)));
        }
        Ok(bytes)
    }

    /// The sums of all files, and the end of the tar.
    pub(super) fn end(mut self) -> Result<(), BundleError> {
        let bytes = self.next(SUMS, self.sums.len() + BLOCK)?;
        let (said, found) = (String::from_utf8_lossy(&bytes), std::mem::take(&mut self.sums));
        if said != found {
            let other = said.lines().zip(found.lines()).find(|(said, found)| said != found);
            let file = other.and_then(|(_, found)| found.split_once("  ")).map_or(SUMS, |(_, name)| name);
            return Err(BundleError::Sum(file.to_owned()));
        }
        for _ in 0..2 {
            if self.block("the end")? != [0; BLOCK] {
                return Err(BundleError::Behind);
            }
        }
        match self.from.read(&mut [0; 1]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(BundleError::Behind),
            Err(error) => Err(cut_off("the end", &error)),
        }
    }

    fn block(&mut self, name: &str) -> Result<[u8; BLOCK], BundleError> {
        let mut block = [0; BLOCK];
        self.from.read_exact(&mut block).map_err(|error| cut_off(name, &error))?;
        Ok(block)
    }
}

fn cut_off(name: &str, error: &std::io::Error) -> BundleError {
    if error.kind() == ErrorKind::UnexpectedEof {
        BundleError::CutOff(name.to_owned())
    } else {
        BundleError::Io(error.to_string())
    }
}
