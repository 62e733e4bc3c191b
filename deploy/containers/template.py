"""What a Flex Template's launcher runs: the pipeline of this file's name in the image; parameters become its flags."""

from pathlib import Path

from tandem.pipelines.launchables import launchable
from tandem.pipelines.planning.launch import entry

if __name__ == "__main__":
    entry(launchable(Path(__file__).stem))
