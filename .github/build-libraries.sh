#!/usr/bin/env bash
# Builds the pinned releases of LMDB, zstd and xxHash below a prefix, as static archives with pkg-config files:
# what a wheel carries is then inside its own modules, and the repair step has only to check it.
# Usage: build-libraries.sh PREFIX
set -euo pipefail

prefix=${1:?usage: build-libraries.sh PREFIX}
[ -e "$prefix/lib/pkgconfig/lmdb.pc" ] && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$prefix/include" "$prefix/lib/pkgconfig"
cd "$work"

checksum() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

# fetch URL SHA256: the archive's content lands in a folder named after the archive's first entry.
fetch() {
    curl --fail --silent --show-error --location --retry 3 --output archive "$1"
    local found
    found=$(checksum archive)
    if [ "$found" != "$2" ]; then
        echo "$1 has SHA-256 $found, expected $2: do not use it" >&2
        exit 1
    fi
    tar -xf archive
}

# describe NAME VERSION LIBS: a pkg-config file.
describe() {
    printf 'prefix=%s\nName: %s\nDescription: %s, pinned for the wheels\nVersion: %s\nCflags: -I${prefix}/include\nLibs: %s\n' \
        "$prefix" "$1" "$1" "$2" "$3" > "$prefix/lib/pkgconfig/$1.pc"
}

fetch https://github.com/facebook/zstd/releases/download/v1.5.7/zstd-1.5.7.tar.gz \
    eb33e51f49a15e023950cd7825ca74a4a2b43db8354825ac24fc1b7ee09e6fa3
make -C zstd-1.5.7/lib libzstd.a CFLAGS="-O3 -fPIC -fvisibility=hidden"
cp zstd-1.5.7/lib/libzstd.a "$prefix/lib/"
cp zstd-1.5.7/lib/{zstd,zdict,zstd_errors}.h "$prefix/include/"
describe libzstd 1.5.7 '-L${prefix}/lib -lzstd'

fetch https://github.com/Cyan4973/xxHash/archive/refs/tags/v0.8.3.tar.gz \
    aae608dfe8213dfd05d909a57718ef82f30722c392344583d3f39050c7f29a80
cp xxHash-0.8.3/{xxhash,xxh3}.h "$prefix/include/"
describe libxxhash 0.8.3 ''

# LMDB 0.9.36 as its Python binding's source distribution carries it, unchanged, in lib/: PyPI keeps every file for good
# under one checksum, which an archive made on demand by a forge does not promise.
fetch https://files.pythonhosted.org/packages/1f/80/24a4064047b1c98ac73c0ad806f16bcd2d800c2eb460d6e6c2961034b8a1/lmdb-3.0.0.tar.gz \
    06dda0723545e14d56ac7dcd6f582d9922c2ed5e16f1c3f8d0e670a96ec2ee65
cd lmdb-3.0.0/lib
"${CC:-cc}" -O2 -fPIC -fvisibility=hidden -pthread -c mdb.c midl.c
ar rcs "$prefix/lib/liblmdb.a" mdb.o midl.o
cp lmdb.h "$prefix/include/"
describe lmdb 0.9.36 '-L${prefix}/lib -llmdb -lpthread'
