// Reads an XML file with Mini-XML, looks at what there is, and lets go of it: the program round Debian's mxml sources in
// scripts/detect.sh.
#include <stdio.h>
#include <string.h>

#include "mxml.h"

int main(int argc, char** argv) {
  FILE* file = argc == 2 ? fopen(argv[1], "rb") : stdin;
  if (file == NULL) return 2;
  mxml_node_t* tree = mxmlLoadFile(NULL, file, MXML_OPAQUE_CALLBACK);
  size_t length = 0;
  for (mxml_node_t* node = tree; node != NULL; node = mxmlWalkNext(node, tree, MXML_DESCEND)) {
    const char* name = mxmlGetElement(node);
    const char* text = mxmlGetOpaque(node);
    if (name != NULL) length += strlen(name);
    if (text != NULL) length += strlen(text);
  }
  printf("%zu\n", length);
  mxmlDelete(tree);
  return 0;
}
