# Runs one piece of code after the other in one shell, for a context. agent.proto says how it is spoken to. What leaves the
# shell, as `exit` does, ends the context.
exec {sentinal_link}<&0 </dev/null
sentinal_serve() {
    local LC_ALL=C
    IFS= read -r -u "$sentinal_link" sentinal_length || exit 0
    sentinal_code=
    if ((sentinal_length)); then IFS= read -r -d '' -N "$sentinal_length" -u "$sentinal_link" sentinal_code; fi
}
trap : INT
sentinal_status=0
while sentinal_serve; do
    (exit "$sentinal_status")
    eval "$sentinal_code" {sentinal_link}>&-
    sentinal_status=$?
    printf 'E %d 0 0\n' "$sentinal_status" >&"$sentinal_link"
done
