/* folder.h - a folder and all in it, removed. Private to serve/. */
#ifndef CALVARIA_SERVE_FOLDER_H
#define CALVARIA_SERVE_FOLDER_H

/* Links are removed, never followed; what cannot be removed stays. */
void folder_remove(const char *path);

#endif
