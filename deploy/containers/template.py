"""What a Flex Template's launcher runs: the pipeline of this file's name in the image; parameters become its flags."""

from pathlib import Path

from tandem.pipelines.templated.entry import main

if __name__ == "__main__":
    main(Path(__file__).stem)
