"""Files to put into the bucket of a test, and what is in it."""

import hashlib
import os
from pathlib import Path

from s3_faults import FaultyS3

PART = 5 << 20  # the least that S3 takes


def a_file(path: Path, size: int) -> tuple[Path, str]:
    content = os.urandom(size)
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def stored(spaces: FaultyS3) -> dict[str, bytes]:
    """Everything in the bucket."""
    listed = spaces.s3.list_objects_v2(Bucket=spaces.bucket).get("Contents", ())
    return {
        item["Key"]: spaces.s3.get_object(Bucket=spaces.bucket, Key=item["Key"])["Body"].read()
        for item in listed
    }


def unfinished(spaces: FaultyS3) -> int:
    return len(spaces.s3.list_multipart_uploads(Bucket=spaces.bucket).get("Uploads", ()))
