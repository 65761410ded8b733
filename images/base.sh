# What both images stand on: Debian 13 with Python and the tools that a student expects in a terminal.
# Read by images/build; part of what decides whether an image is built anew.
# shellcheck shell=bash disable=SC2034,SC2016

base_suite=trixie
base_packages=(
  bash ca-certificates coreutils curl file git gzip less locales nano procps
  python3 python3-venv tar tini unzip zip
)
# Manuals and translations of programs are a third of Debian, and an environment is no place to read them.
base_options=(
  --dpkgopt='path-exclude=/usr/share/man/*'
  --dpkgopt='path-exclude=/usr/share/locale/*'
  --dpkgopt='path-exclude=/usr/share/doc/*'
  --dpkgopt='path-include=/usr/share/doc/*/copyright'
  --aptopt='Acquire::Languages "none"'
)
base_hooks=(
  # Chinese for whoever sets LANG, without the sources of two hundred other languages.
  --customize-hook='chroot "$1" localedef --no-archive -i zh_CN -f UTF-8 zh_CN.UTF-8'
  --customize-hook='chroot "$1" dpkg --purge locales >/dev/null'
  # The account that environments run as; its home is mounted from outside.
  --customize-hook='chroot "$1" useradd --uid 1000 --user-group --create-home --shell /bin/bash student'
  --customize-hook='find "$1/home/student" -mindepth 1 -delete'
  --customize-hook='mkdir -p "$1/run/open-hydra"'
  # Files get one date in the archive, so compiled modules must not be compared by date. Sets of constants keep their order.
  --customize-hook='chroot "$1" sh -c "PYTHONHASHSEED=0 python3 -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /usr/lib/python3*" || true'
  --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/* "$1"/var/cache/debconf/*-old'
)
