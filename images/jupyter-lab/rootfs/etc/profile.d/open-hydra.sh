# Terminals are login shells; Debian's /etc/profile has just set PATH anew.
case ":$PATH:" in
  *:/opt/jupyter/bin:*) ;;
  *) PATH=$HOME/.local/bin:/opt/jupyter/bin:$PATH ;;
esac
# The server works in / (a home may be mounted after it has started), a student at home. A terminal opened in
# a folder stays there.
if [ "$PWD" = / ]; then cd || true; fi
if [ -n "$PS1" ]; then
  alias ls='ls --color=auto' ll='ls -l' grep='grep --color=auto'
fi
