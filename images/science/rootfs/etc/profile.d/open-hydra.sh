# Terminals are login shells; Debian's /etc/profile has just set PATH anew. An image that stands on this one adds its
# programs' folders to /etc/open-hydra/path, one a line.
case ":$PATH:" in
  *:/opt/python/bin:*) ;;
  *)
    for folder in $(cat /etc/open-hydra/path 2>/dev/null); do PATH=$folder:$PATH; done
    PATH=$HOME/.local/bin:/opt/python/bin:$PATH
    unset folder
    ;;
esac
# The server works in / (a home may be mounted after it has started), a student at home. A terminal opened in
# a folder stays there.
if [ "$PWD" = / ]; then cd || true; fi
if [ -n "$PS1" ]; then
  alias ls='ls --color=auto' ll='ls -l' grep='grep --color=auto'
fi
