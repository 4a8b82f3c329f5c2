"""Files and folders that are written beside their target and take its place at the end."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from paraminspect.errors import TargetError
from paraminspect.files.seen import reading_back, settle
from paraminspect.files.storing import create, open_inside, sync_folder
from paraminspect.writers.copying import open_sources
from paraminspect.writers.destination import check_file, check_folder, check_space, resolve
from paraminspect.writers.layout import Copy, Layout
from paraminspect.writers.partial import Partial, describe_left, recover_folder, remove_left_for, remove_left_in
from paraminspect.writers.sink import FileSink

Look = Callable[[str], None]


class Output(ABC):
    """Something that is being written: `begin`, then values into `sink`, `finish`, and in any case `end`.

    Attributes:
        look: Called with the path of the complete file or folder before it takes the name of the target; what it
            raises leaves the target as it was.
    """

    look: Look | None = None
    _is_new = True

    def __init__(self, layout: Layout, path: str, partials: Sequence[Partial], *, replaces: bool = True) -> None:
        self._layout = layout
        self._partials = partials
        self._replaces = replaces
        self.sink = FileSink(layout, path, self._open_file)

    @property
    def _written(self) -> Sequence[int]:
        """Which files of the layout are written."""
        return range(len(self._layout.files))

    @abstractmethod
    def _open_file(self, file: int) -> AbstractContextManager[int]:
        """The descriptor of a file, for a while."""

    def begin(self) -> None:
        """Make all files, with what is known of them.

        Raises:
            TargetError: Another run is writing the same target, or there is not enough space.
            OSError: They cannot be made.
        """
        for partial in self._partials:
            partial.make()
        self._make_files()
        written = [self._layout.files[file] for file in self._written]
        if self._partials:
            check_space(sum(each.nbytes for each in written), self._partials[0].fd, self._partials[0].folder)
        with open_sources(written) as sources:
            for file, layout in zip(self._written, written, strict=True):
                with self._open_file(file) as fd:
                    os.truncate(fd, layout.nbytes)
                self.sink.write_pieces(file, sources)

    def _make_files(self) -> None:  # noqa: B027 - only folders have some
        """Make what lies in a temporary folder."""

    def finish(self) -> None:
        """Let it appear, unless what it was made of has changed meanwhile."""
        self._complete()
        if self.look is not None and self._is_new:
            with reading_back():
                self.look(self._partials[0].path)
        settle()
        self._commit()

    @abstractmethod
    def _complete(self) -> None:
        """Write what is known only now, and have all of it on the disk."""

    def _commit(self) -> None:
        for partial in self._partials:
            partial.commit(replace=self._replaces)
        self.sink.remarks += describe_left(path for partial in self._partials for path in partial.left)

    def end(self) -> None:
        """Remove what is left of it."""
        for partial in self._partials:
            partial.discard()
            partial.close()


class _NewFile(Output):
    """One file."""

    def __init__(self, layout: Layout, path: str, partial: Partial, *, replace: bool) -> None:
        super().__init__(layout, path, [partial], replaces=replace)
        self._partial = partial

    def _open_file(self, file: int) -> AbstractContextManager[int]:
        return nullcontext(self._partial.file)

    def _complete(self) -> None:
        self.sink.write_checksums(0)
        self._partial.sync()


class _NewFolder(Output):
    """A folder; its files are opened when they are written, as there may be more than can be open at a time."""

    def __init__(self, layout: Layout, path: str, target: str, *, replace: bool) -> None:
        self._partial = Partial(target, is_folder=True)
        super().__init__(layout, path, [self._partial])
        self._replace = replace

    @contextmanager
    def _open_file(self, file: int) -> Iterator[int]:
        fd = open_inside(self._partial.fd, self._partial.path, self._layout.files[file].name)
        try:
            yield fd
        finally:
            os.close(fd)

    def _make_files(self) -> None:
        recover_folder(self._partial.target)
        if self._replace:
            remove_left_in(self._partial.target)
        check_folder(self._partial.target, self._layout, self._replace)
        self.sink.folder = self._partial.path
        for file in self._layout.files:
            path = os.path.join(self._partial.path, file.name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.close(create(path, 0o666))

    def _complete(self) -> None:
        for file in self._written:
            self.sink.write_checksums(file)
            with self._open_file(file) as fd:
                os.fsync(fd)
        for folder, _, _ in os.walk(self._partial.path):
            sync_folder(folder)


class _OldFolder(Output):
    """The folder that is copied from: of its files only those are written, and replaced one by one, that change."""

    _is_new = False

    def __init__(self, layout: Layout, path: str, folder: str) -> None:
        self._by_file: dict[int, Partial] = {}
        for file in sorted({slot.file for slot in layout.slots if slot.nbytes}):
            target = os.path.realpath(os.path.join(folder, layout.files[file].name))
            self._by_file[file] = Partial(target, replaced=os.stat(target))
        self._folder = folder
        super().__init__(layout, path, list(self._by_file.values()))

    @property
    def _written(self) -> Sequence[int]:
        return list(self._by_file)

    def _open_file(self, file: int) -> AbstractContextManager[int]:
        return nullcontext(self._by_file[file].file)

    def _complete(self) -> None:
        for file, partial in self._by_file.items():
            self.sink.write_checksums(file)
            partial.sync()

    def _commit(self) -> None:
        super()._commit()
        others = [file.name for number, file in enumerate(self._layout.files) if number not in self._by_file]
        left = remove_left_for(os.path.realpath(os.path.join(self._folder, name)) for name in others)
        self.sink.remarks += describe_left(left)


def choose_output(layout: Layout, path: str, force: bool) -> Output:
    """The output for what a layout is and what stands at a path.

    Raises:
        TargetError: It cannot be written there; nothing has changed.
        OSError: The same, in the system's words.
    """
    target = resolve(path)
    if not layout.is_folder:
        replaced = check_file(target, path, force)
        return _NewFile(layout, path, Partial(target, replaced=replaced), replace=force)
    folder = os.path.dirname(target)
    if os.path.basename(target) in {file.name for file in layout.files} and _copies_from(layout, folder):
        target = folder  # the index of shards stands for all of them, as it does where it is read
    if _copies_from(layout, target):
        if not force:
            raise TargetError("it is there already", hint="--force replaces it")
        return _OldFolder(layout, path, target)
    return _NewFolder(layout, path, target, replace=force)


def _copies_from(layout: Layout, folder: str) -> bool:
    """Whether a layout is made of files of that folder."""
    sources = {
        os.path.dirname(os.path.abspath(piece.content.path))
        for file in layout.files
        for piece in file.pieces
        if isinstance(piece.content, Copy) and piece.content.path is not None
    }
    return os.path.isdir(folder) and any(os.path.realpath(source) == folder for source in sources)
