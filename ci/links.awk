# Prints the dead links among those that `links` in `ci/lib` has found. Each line of the input begins with what it is:
#   html:FILE:ATTRIBUTE="VALUE"            an anchor or a link of the documentation
#   md:FILE:LINE:TEXT                      a heading or a link of a Markdown file
#   built:FILE, package:FILE, file:FILE    a file of the documentation, of the package, and of the repository

{ kind = $0; sub(/:.*/, "", kind); $0 = substr($0, length(kind) + 2) }
kind == "built" { built[$0] }
kind == "package" { packaged[$0] }
kind == "file" { tracked[$0] }
kind == "html" {
    file = $0; sub(/:.*/, "", file)
    value = $0; sub(/^[^"]*"/, "", value); sub(/"$/, "", value)
    if (value ~ /[$][{]/) next
    if ($0 ~ /: id="/) anchors[file "#" value]; else links[file " " value]
}
kind == "md" {
    split($0, at, ":")
    text = substr($0, length(at[1] at[2]) + 3)
    if (text ~ /^#/) {
        # As GitHub makes an anchor of a heading.
        gsub(/^#+ |[^A-Za-z0-9 _-]/, "", text); gsub(/ /, "-", text)
        anchors[at[1] "#" tolower(text)]
    } else {
        gsub(/^]\(|\)$/, "", text)
        if (sub(/^https:\/\/docs.rs\/multilock\/?(latest\/multilock\/?)?/, "", text)) {
            links["docs.rs:" at[1] ":" at[2] " " text]
        } else {
            pages[at[1] ":" at[2] " " text]
        }
    }
}

# The path of `link` in the file `from`, from the folder in which that file is found.
function path(from, link) {
    sub(/[#?].*/, "", link)
    if (link == "" && from !~ /\/$/) return from
    sub(/[^\/]*$/, "", from)
    from = from link
    while (sub(/[^\/.]+\/\.\.\//, "", from));
    gsub(/\.\//, "", from)
    return from ~ /\/$/ ? from "index.html" : from
}
function anchor(link) { return link ~ /#./ ? substr(link, index(link, "#")) : "" }
# Whether the file of the documentation is there, and the anchor in it. A range of lines is an anchor of the viewer.
function documented(file, link) {
    return file in built && (link == "" || file ~ /^src\// || (file link) in anchors)
}

END {
    for (link in links) {
        split(link, part, " ")
        if (part[1] ~ /^docs.rs:/) found = documented(path("multilock/", part[2]), anchor(part[2]))
        else found = part[2] ~ /^[a-z]+:/ || documented(path(part[1], part[2]), anchor(part[2]))
        if (!found) print part[1] " " part[2]
    }
    for (link in pages) {
        split(link, part, " ")
        if (part[2] ~ /^[a-z]+:/) continue
        split(part[1], at, ":")
        file = path(at[1], part[2])
        if (!(file in tracked)) print part[1] " " part[2]
        else if (at[1] == "README.md" && !(file in packaged)) print part[1] " " part[2] ": not in the package"
        else if (file ~ /\.md$/ && anchor(part[2]) && !((file anchor(part[2])) in anchors)) print part[1] " " part[2]
    }
}
